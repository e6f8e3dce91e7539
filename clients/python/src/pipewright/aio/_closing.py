"""The end of an asyncio client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from .._errors import closed

_Result = TypeVar("_Result")


class Closing:
    """Notifies all waiters of a client that it was closed.

    gRPC would cancel the waiters of its calls, as if their tasks had been cancelled.
    """

    def __init__(self) -> None:
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waited_for: set[asyncio.Future[Any]] = set()

    def check(self) -> None:
        """Raises ApiError if the client was closed."""
        if self._closed.done():
            raise closed()

    async def unless_closed(self, awaitable: Awaitable[_Result]) -> _Result:
        """The awaited result. Raises ApiError, and cancels it, if the client is closed before."""
        waited_for = asyncio.ensure_future(awaitable)
        self._waited_for.add(waited_for)
        try:
            either: set[asyncio.Future[Any]] = {waited_for, self._closed}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if waited_for.done():
                return waited_for.result()
            raise closed()
        finally:
            self._waited_for.discard(waited_for)
            waited_for.cancel()

    async def pause(self, seconds: float) -> None:
        """Waits. Raises ApiError if the client is closed before."""
        await self.unless_closed(asyncio.sleep(seconds))

    async def close(self) -> None:
        """Ends all waits, and returns once the waiters are notified."""
        if not self._closed.done():
            self._closed.set_result(None)
        # New tasks make their calls, and gRPC's tasks of these begin; they find the client
        # closed.
        for _ in range(2):
            await asyncio.sleep(0)
        if self._waited_for:
            await asyncio.wait(self._waited_for)
