"""A common interface of both clients, so that a test runs with both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any, Protocol, TypeVar

import pipewright
from pipewright import JobUpdate, LogPiece

_Item = TypeVar("_Item")


class Driver(Protocol):
    """A client whose calls are made one after the other."""

    def call(self, stub: str, method: str, request: Any, **options: Any) -> Any:
        """Makes a unary call of a generated stub."""
        ...

    def stream(
        self, stub: str, method: str, request: Any, **options: Any
    ) -> Generator[Any, None, None]:
        """Makes a streaming call of a generated stub."""
        ...

    def watch(self, job_id: str, **options: Any) -> Generator[JobUpdate, None, None]:
        """Watches a job; closing leaves the loop."""
        ...

    def read(self, job_id: str, stage: str, **options: Any) -> Generator[LogPiece, None, None]:
        """Reads a log; closing leaves the loop."""
        ...

    def shut(self) -> None:
        """Closes the client."""
        ...

    def close(self) -> None:
        """Closes the client and its event loop, if it has one."""
        ...


class Blocking:
    """The blocking client."""

    def __init__(self, address: str, **options: Any) -> None:
        self.client = pipewright.connect(address, **options)

    def call(self, stub: str, method: str, request: Any, **options: Any) -> Any:
        return getattr(getattr(self.client, stub), method)(request, **options)

    def stream(
        self, stub: str, method: str, request: Any, **options: Any
    ) -> Generator[Any, None, None]:
        yield from self.call(stub, method, request, **options)

    def watch(self, job_id: str, **options: Any) -> Generator[JobUpdate, None, None]:
        yield from self.client.watch_job(job_id, **options)

    def read(self, job_id: str, stage: str, **options: Any) -> Generator[LogPiece, None, None]:
        yield from self.client.read_log(job_id, stage, **options)

    def shut(self) -> None:
        self.client.close()

    def close(self) -> None:
        self.shut()


class Asyncio:
    """The asyncio client, in a loop that runs while the test waits."""

    def __init__(self, address: str, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()

        async def connect() -> pipewright.aio.Client:
            return pipewright.aio.connect(address, **options)

        try:
            self.client = self._loop.run_until_complete(connect())
        except BaseException:
            self._loop.close()
            raise

    def call(self, stub: str, method: str, request: Any, **options: Any) -> Any:
        async def call() -> Any:
            return await getattr(getattr(self.client, stub), method)(request, **options)

        return self._loop.run_until_complete(call())

    def stream(
        self, stub: str, method: str, request: Any, **options: Any
    ) -> Generator[Any, None, None]:
        async def messages() -> AsyncGenerator[Any, None]:
            async for message in getattr(getattr(self.client, stub), method)(request, **options):
                yield message

        return self._each(messages())

    def watch(self, job_id: str, **options: Any) -> Generator[JobUpdate, None, None]:
        return self._each(self.client.watch_job(job_id, **options))

    def read(self, job_id: str, stage: str, **options: Any) -> Generator[LogPiece, None, None]:
        return self._each(self.client.read_log(job_id, stage, **options))

    def shut(self) -> None:
        self._loop.run_until_complete(self.client.close())

    def close(self) -> None:
        self.shut()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _each(self, items: AsyncGenerator[_Item, None]) -> Generator[_Item, None, None]:
        async def following() -> tuple[_Item] | None:
            try:
                return (await anext(items),)
            except StopAsyncIteration:
                return None

        try:
            while item := self._loop.run_until_complete(following()):
                yield item[0]
        finally:
            self._loop.run_until_complete(items.aclose())
