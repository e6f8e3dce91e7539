"""The real service, as a process."""

import asyncio
import os
import re
import subprocess
from pathlib import Path

# A service starts within a second, and stops once its stages have stopped.
PATIENCE = 60


class Service:
    """One `pipewright serve` on a free port of loopback."""

    def __init__(self, binary: str, log: Path) -> None:
        self._binary = binary
        self._log = log
        self.port = 0

    async def start(self, *arguments: str) -> None:
        """Starts it, and waits until it listens."""
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *[self._binary, "serve", "--listen", "127.0.0.1:0", *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "NO_COLOR": "1"},
            )
        async with asyncio.timeout(PATIENCE):
            while not (found := self._said(r"address=127\.0\.0\.1:(\d+)")):
                assert self._process.returncode is None, self._log.read_text()
                await asyncio.sleep(0.05)
        self.port = int(found[1])

    async def kill(self) -> None:
        """Ends it as a crash does."""
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """Stops it; it must exit by itself. Does nothing the second time."""
        if self._process.returncode is None:
            self._process.terminate()
        status = await asyncio.wait_for(self._process.wait(), PATIENCE)
        assert status == 0, f"the service ended with {status}: {self._log.read_text()}"

    def _said(self, pattern: str) -> re.Match[str] | None:
        return re.search(pattern, self._log.read_text())
