"""Resuming streams with blocking reads."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from types import TracebackType
from typing import Any, Generic, TypeVar

from ._closing import Closing
from ._errors import ApiError
from ._resume import Cursor, Resumption, silent

_Request = TypeVar("_Request")
_Message = TypeVar("_Message")
_Item = TypeVar("_Item")

Open = Callable[[_Request], Any]
Conclude = Callable[[], "_Item | None"]


class Stream(Generic[_Item]):
    """The items of a watch or a log, over as many calls as necessary.

    An iterator to be used in a `for` loop. Leaving the loop ends the call; a stream that
    is kept in a variable is used in a `with` statement or closed. Iterating raises ApiError
    for errors that another call would not fix.
    """

    def __init__(
        self,
        cursor: Cursor[_Request, _Message, _Item],
        open_call: Open[_Request],
        conclude: Conclude[_Item],
        closing: Closing,
    ) -> None:
        self._exit = _Exit(closing)
        self._items = _resume(cursor, open_call, conclude, self._exit)

    def __iter__(self) -> Iterator[_Item]:
        return self

    def __next__(self) -> _Item:
        try:
            return next(self._items)
        except ValueError:
            # Another thread is closing it.
            if self._exit.is_set():
                raise StopIteration from None
            raise

    def close(self) -> None:
        """Ends the call on the service and the iteration, from any thread."""
        self._exit.leave()
        # Refused while another thread waits in it, which was notified to leave.
        with suppress(ValueError):
            self._items.close()

    def __enter__(self) -> Stream[_Item]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _resume(
    cursor: Cursor[_Request, _Message, _Item],
    open_call: Open[_Request],
    conclude: Conclude[_Item],
    leaving: _Exit,
) -> Generator[_Item, None, None]:
    resumption = Resumption(cursor.final)
    while not (cursor.done or leaving.is_set()):
        try:
            call = leaving.hold(open_call(cursor.request()))
            with closing(_Watchdog[_Message](call, cursor.silence)) as messages:
                for message in messages:
                    resumption.heard()
                    yield from cursor.accept(message)
                    if cursor.done:
                        return
            last = conclude()
            if last is not None:
                yield last
        except ApiError as error:
            leaving.drop()
            if not leaving.is_set():
                leaving.wait(resumption.pause(error))
        finally:
            leaving.drop()


class _Exit:
    """Ends a stream, from any thread."""

    def __init__(self, closing: Closing) -> None:
        self._closing = closing
        self._left = False
        self._call: Any = None

    def hold(self, call: Any) -> Any:
        """Stores the current call, and returns it.

        It checks for the end only after it has stored the call, and `leave` reads the call only
        after it has marked the end, so that one of both sees what the other did.
        """
        self._call = call
        if self._left:
            call.cancel()
        return call

    def drop(self) -> None:
        """Cancels the current call."""
        if self._call is not None:
            self._call.cancel()

    def leave(self) -> None:
        """Cancels the call, and cuts a pause short."""
        self._left = True
        self._closing.wake()
        self.drop()

    def is_set(self) -> bool:
        """Whether the stream was left."""
        return self._left

    def wait(self, seconds: float) -> None:
        """Pauses, unless the stream is left or the client closed."""
        self._closing.pause(seconds, self.is_set)


class _Watchdog(Generic[_Message]):
    """The messages of a call, which it cancels if the next one takes too long.

    Reading from a call of gRPC has no time limit of its own, so a thread measures it.
    Only the time in which the reader waits counts, not the time that it takes for a message.
    """

    def __init__(self, call: Any, limit: float) -> None:
        self._call = call
        self._limit = limit
        self._due = math.inf
        self._was_silent = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pipewright-silence", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[_Message]:
        return self

    def __next__(self) -> _Message:
        self._due = time.monotonic() + self._limit
        try:
            message: _Message = next(self._call)
        except ApiError as error:
            if self._was_silent:
                raise silent() from error
            raise
        finally:
            self._due = math.inf
        return message

    def close(self) -> None:
        """Ends the thread."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        """Sleeps for the limit at most, so it never misses the due time."""
        while not self._over.wait(min(self._due - time.monotonic(), self._limit)):
            if self._due <= time.monotonic():
                self._was_silent = True
                self._call.cancel()
                return
