"""Rules for all calls, blocking or not."""

from __future__ import annotations

import copy
import math
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.message import Message

from ._backoff import Backoff
from ._errors import ApiError

TRIES = 5

_API = "pipewright.v1"

_Request = TypeVar("_Request")


@dataclass(frozen=True)
class CallDefaults:
    """Defaults of calls."""

    timeout: float
    """Seconds that a unary call may take, including its retries."""
    authorization: str | None = field(repr=False)
    host: str = ""
    """The host and the port of the service, for messages."""

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Headers of each call."""
        return (("authorization", self.authorization),) if self.authorization else ()


class Tries:
    """The tries of one call: how long the next may take, and the pause before it."""

    def __init__(self, request: object, timeout: float | None, defaults: CallDefaults) -> None:
        is_api = _is_of_the_api(request)
        if timeout is None:
            # The service holds some calls of runners on purpose.
            timeout = defaults.timeout if is_api else math.inf
        check_limit(timeout)
        self._left = TRIES if is_api else 1
        self._end = time.monotonic() + timeout
        self._backoff = Backoff()
        self._last: ApiError | None = None

    def timeout(self) -> float | None:
        """Seconds that are left for the next try; None without a limit.

        Raises ApiError if no time is left for another one.
        """
        if self._end == math.inf:
            return None
        left = self._end - time.monotonic()
        if self._last and left <= 0:
            message = f"the time limit is over; before that: {self._last}"
            raise ApiError(grpc.StatusCode.DEADLINE_EXCEEDED, message) from self._last
        return left

    def pause(self, error: ApiError) -> float:
        """Seconds to wait before the next try, at most until the limit is over.

        Raises the error if another try would not help.
        """
        self._left -= 1
        if self._left == 0 or error.code is not grpc.StatusCode.UNAVAILABLE:
            raise error
        self._last = error
        return max(0, min(self._backoff.pause(error.retry_delay), self._end - time.monotonic()))


def check_limit(timeout: float | None) -> None:
    """Raises ValueError for an invalid timeout of a call."""
    if timeout is not None and not timeout >= 0:
        raise ValueError("a timeout is not below 0")


def with_request_id(request: _Request) -> _Request:
    """Sets the request id that lets the service recognize the tries of one call.

    Returns a copy, unless there is nothing to set.
    """
    if not _is_of_the_api(request) or getattr(request, "request_id", None) != "":
        return request
    if getattr(request, "validate_only", False):
        return request
    repeatable: Any = copy.deepcopy(request)
    repeatable.request_id = str(uuid.uuid4())
    return cast(_Request, repeatable)


def _is_of_the_api(request: object) -> bool:
    """Whether it may be retried; a request of a runner has rules of its own."""
    return isinstance(request, Message) and request.DESCRIPTOR.file.package == _API
