"""Resuming streams for asyncio."""

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
    pause: Callable[[float], Awaitable[None]],
) -> AsyncGenerator[_Item, None]:
    """The items, over as many calls as necessary."""
    resumption = Resumption(cursor.final)
    while not cursor.done:
        call = open_call(cursor.request())
        messages: AsyncIterator[_Message] = aiter(call)
        try:
            while (message := await next_message(messages, cursor.silence)) is not None:
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
            await pause(resumption.pause(error))
        finally:
            call.cancel()


async def next_message(messages: AsyncIterator[_Message], limit: float) -> _Message | None:
    """The next message, waiting at most `limit` seconds; None at the end.

    Not `asyncio.wait_for`: before Python 3.12 it forgets that its task was cancelled if the
    message comes at that moment.
    """
    message = asyncio.ensure_future(anext(messages))
    try:
        await asyncio.wait([message], timeout=limit)
        if not message.done():
            raise silent()
        return message.result()
    except StopAsyncIteration:
        return None
    finally:
        message.cancel()
