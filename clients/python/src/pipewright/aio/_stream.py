"""Streams that resume by themselves, read by awaiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from .._errors import ApiError
from .._resume import Cursor, Resumption, silent

_Request = TypeVar("_Request")
_Message = TypeVar("_Message")
_Item = TypeVar("_Item")


async def resume(
    cursor: Cursor[_Request, _Message, _Item],
    open_call: Callable[[_Request], Any],
    conclude: Callable[[], Awaitable[_Item | None]],
) -> AsyncGenerator[_Item, None]:
    """What comes, over as many calls as it takes."""
    resumption = Resumption(cursor.final)
    while not cursor.done:
        call = open_call(cursor.request())
        messages: AsyncIterator[_Message] = aiter(call)
        try:
            while (message := await _next(messages, cursor.silence)) is not None:
                resumption.heard()
                for item in cursor.accept(message):
                    yield item
                if cursor.done:
                    return
            last = await conclude()
            if last is not None:
                yield last
        except ApiError as error:
            call.cancel()
            await asyncio.sleep(resumption.pause(error))
        finally:
            call.cancel()


async def _next(messages: AsyncIterator[_Message], limit: float) -> _Message | None:
    """The next message, for which one waits so many seconds; None at the end."""
    try:
        return await asyncio.wait_for(anext(messages), limit)
    except StopAsyncIteration:
        return None
    except asyncio.TimeoutError as error:
        raise silent() from error
