"""Resumption of broken streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

import grpc

from ._backoff import Backoff
from ._errors import ApiError, ClosedError

MOST_FAILURES = 5
"""Consecutive failures of a service that has never sent a message."""

FINAL = frozenset(
    {
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
"""Errors that another call would get, too."""

Request = TypeVar("Request", covariant=True)
Message = TypeVar("Message", contravariant=True)
Item = TypeVar("Item", covariant=True)


class Cursor(Protocol[Request, Message, Item]):
    """A position in a stream, and the request for the rest."""

    @property
    def final(self) -> frozenset[grpc.StatusCode]:
        """Statuses after which the stream is not resumed."""
        ...

    @property
    def silence(self) -> float:
        """Seconds without a message after which the stream counts as broken."""
        ...

    @property
    def done(self) -> bool:
        """Whether everything was received."""
        ...

    def request(self) -> Request:
        """A request for the rest."""
        ...

    def accept(self, message: Message) -> Iterator[Item]:
        """The new items of a message. Raises ApiError if something before it is missing."""
        ...


class Resumption:
    """Decides whether a broken stream is opened again, and when."""

    def __init__(self, final: frozenset[grpc.StatusCode]) -> None:
        self._final = final
        self._backoff = Backoff()
        self._failures = 0
        self._was_heard = False

    def heard(self) -> None:
        """Records a message."""
        self._was_heard = True
        self._backoff.reset()

    def pause(self, error: ApiError) -> float:
        """Seconds to wait before the next call; raises the error if it is final."""
        self._failures += 1
        if error.code in self._final or isinstance(error, ClosedError):
            raise error
        if not self._was_heard and self._failures == MOST_FAILURES:
            raise error
        return self._backoff.pause(error.retry_delay)


def broken(why: str) -> ApiError:
    """The error of a stream that breaks the rules of its contract."""
    return ApiError(grpc.StatusCode.UNAVAILABLE, why)


def silent() -> ApiError:
    """The error of a stream without messages, including heartbeats."""
    return broken("the service has gone silent")
