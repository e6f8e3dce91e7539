"""Executes the commands of the conformance driver, a line at a time.

The protocol is in clients/conformance/README.md.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

import pipewright
from pipewright import ApiError, JobUpdate, LogPiece, v1
from pipewright.v1 import LogChunk

Json = dict[str, Any]


def say(answer: Json) -> None:
    """Responds with a line."""
    print(json.dumps(answer), flush=True)


def options_of(said: Json) -> Json:
    """The arguments of `connect`: the certificate instead of its path."""
    path = said.pop("ca_certificate", None)
    return {**said, "ca_certificate": Path(path).read_bytes()} if path else said


def find(client: Any, method: str) -> Any:
    """Finds a method among the services of the API."""
    stubs = (client.pipelines, client.jobs, client.runners, client.projects, client.admin)
    for stub in stubs:
        if hasattr(stub, method):
            return getattr(stub, method)
    raise LookupError(f"there is no method {method}")


def request_of(line: Json) -> Message:
    """The request of a call."""
    message: Message = getattr(v1, f"{line['call']}Request")()
    return ParseDict(line["request"], message)


def limit_of(line: Json) -> float | None:
    """The timeout of a call in seconds."""
    milliseconds = line.get("timeout_ms")
    return None if milliseconds is None else milliseconds / 1000


def say_update(update: JobUpdate) -> None:
    """Responds with an update of a watch, and with the final job after the last."""
    if update.event:
        say({"event": MessageToDict(update.event)})
    if update.snapshot:
        say({"snapshot": MessageToDict(update.snapshot)})
    if update.ended:
        say({"ended": MessageToDict(update.ended)})


def create(path: str) -> BinaryIO:
    """The file for the bytes of a log."""
    return Path(path).open("wb")


def say_piece(piece: LogPiece, file: BinaryIO) -> None:
    """Writes a piece of a log, and responds with it."""
    if isinstance(piece, LogChunk):
        file.write(piece.data)
        file.flush()
        say({"chunk": {"offset": piece.offset, "size": len(piece.data)}})
    else:
        say({"gap": {"start_offset": piece.start_offset, "end_offset": piece.end_offset}})


@contextmanager
def errors_said() -> Iterator[None]:
    """Responds with the error of a client."""
    try:
        yield
    except ApiError as error:
        violations = [
            {"field": violation.field, "description": violation.description}
            for violation in error.field_violations
        ]
        answer = {
            "code": error.code.name,
            "reason": error.reason,
            "message": error.message,
            "metadata": dict(error.metadata),
            "fieldViolations": violations,
        }
        say({"error": answer})


def play() -> None:
    """Runs with the blocking client."""
    client: Any = None
    for text in sys.stdin:
        line: Json = json.loads(text)
        if "connect" in line:
            if client:
                client.close()
            client = pipewright.connect(**options_of(line["connect"]))
            say({"connected": {}})
        elif "close" in line:
            client.close()
            say({"closed": {}})
        else:
            with errors_said():
                do(client, line)
    if client:
        client.close()


def do(client: pipewright.Client, line: Json) -> None:
    """Executes a line."""
    match line:
        case {"call": method}:
            response = find(client, method)(request_of(line), timeout=limit_of(line))
            say({"response": MessageToDict(response)})
        case {"watch": wanted}:
            for update in client.watch_job(**wanted):
                say_update(update)
        case {"read_log": wanted, "to": path}:
            with create(path) as file:
                for piece in client.read_log(**wanted):
                    say_piece(piece, file)
            say({"log_end": {}})


async def play_asyncio() -> None:
    """Runs with the asyncio client."""
    client: pipewright.aio.Client | None = None
    async for text in lines():
        line: Json = json.loads(text)
        if "connect" in line:
            if client:
                await client.close()
            client = pipewright.aio.connect(**options_of(line["connect"]))
            say({"connected": {}})
        elif "close" in line:
            await cast(pipewright.aio.Client, client).close()
            say({"closed": {}})
        else:
            with errors_said():
                await do_asyncio(cast(pipewright.aio.Client, client), line)
    if client:
        await client.close()


async def lines() -> AsyncGenerator[str, None]:
    """The lines of standard input, read without blocking the event loop."""
    while text := await asyncio.to_thread(sys.stdin.readline):
        yield text


async def do_asyncio(client: pipewright.aio.Client, line: Json) -> None:
    """Executes a line."""
    match line:
        case {"call": method}:
            response = await find(client, method)(request_of(line), timeout=limit_of(line))
            say({"response": MessageToDict(response)})
        case {"watch": wanted}:
            async for update in client.watch_job(**wanted):
                say_update(update)
        case {"read_log": wanted, "to": path}:
            with create(path) as file:
                async for piece in client.read_log(**wanted):
                    say_piece(piece, file)
            say({"log_end": {}})


if __name__ == "__main__":
    if sys.argv[1:] == ["asyncio"]:
        asyncio.run(play_asyncio())
    else:
        play()
