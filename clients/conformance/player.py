"""The driver's side of a player; README.md describes the protocol."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]

# A line is at most a page of a list, about 1 MiB, as JSON.
LONGEST_LINE = 8 * 1024 * 1024
# No command of a player takes longer, unless it hangs.
PATIENCE = 60


class CallError(Exception):
    """The error that the client raised."""

    def __init__(self, error: Json) -> None:
        super().__init__(f"{error['code']} {error['reason']}: {error['message']}")
        self.code: str = error["code"]
        self.reason: str = error["reason"]
        self.message: str = error["message"]
        self.metadata: Json = error["metadata"]
        self.fields: list[str] = [violation["field"] for violation in error["fieldViolations"]]
        self.json = error


class Player:
    """A client that executes commands."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, command: list[str], environment: dict[str, str]) -> "Player":
        """Starts its process; its standard error is passed on."""
        return cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment,
                limit=LONGEST_LINE,
                start_new_session=True,
            )
        )

    async def stop(self) -> int:
        """Ends its input and waits for it to exit."""
        assert self._process.stdin
        self._process.stdin.close()
        return await asyncio.wait_for(self._process.wait(), PATIENCE)

    async def kill(self) -> None:
        """Kills it, unless it has ended."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def connect(self, **options: str) -> None:
        """Creates a client; the previous one is closed."""
        await self._say({"connect": options})
        await self._hear("connected")

    async def close(self) -> None:
        """Closes the client, which is still used afterwards."""
        await self._say({"close": {}})
        await self._hear("closed")

    async def call(self, method: str, request: Json, timeout_ms: int | None = None) -> Json:
        """Makes a unary call."""
        said: Json = {"call": method, "request": request}
        if timeout_ms is not None:
            said["timeout_ms"] = timeout_ms
        await self._say(said)
        response: Json = (await self._hear("response"))["response"]
        return response

    async def watch(
        self, job_id: str, last_seen_sequence: int | None = None
    ) -> AsyncIterator[Json]:
        """Yields each line of a watch, the one with `ended` last."""
        said: Json = {"job_id": job_id}
        if last_seen_sequence is not None:
            said["last_seen_sequence"] = last_seen_sequence
        await self._say({"watch": said})
        while True:
            line = await self._hear("event", "snapshot", "ended")
            yield line
            if "ended" in line:
                return

    async def read_log(self, to: Path, **wanted: str | int | bool) -> AsyncIterator[Json]:
        """Yields each piece of a log, whose bytes go to a file."""
        await self._say({"read_log": wanted, "to": str(to)})
        while "log_end" not in (line := await self._hear("chunk", "gap", "log_end")):
            yield line

    async def _say(self, line: Json) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        await self._process.stdin.drain()

    async def _hear(self, *expected: str) -> Json:
        assert self._process.stdout
        text = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE)
        assert text, "the player has gone"
        line: Json = json.loads(text)
        if "error" in line:
            raise CallError(line["error"])
        assert len(line) == 1 and next(iter(line)) in expected, f"{expected}, not {text!r}"
        return line
