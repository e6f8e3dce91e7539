"""What the blocking client adds to each call of a generated stub.

A channel of its own instead of a gRPC interceptor: the intercepted channel looks a method
up anew for each call: on a channel that was closed that crashes the process (grpcio 1.85).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Generic, TypeVar, cast

import grpc

from ._calls import CallDefaults, Tries, check_limit, with_request_id
from ._closing import Closing
from ._errors import ApiError, api_error, closed, unreadable

_Result = TypeVar("_Result")

Metadata = Any


class Channel:
    """The part of a channel that the stubs of this API need."""

    def __init__(self, channel: grpc.Channel, defaults: CallDefaults, closing: Closing) -> None:
        self._channel = channel
        self._defaults = defaults
        self._closing = closing

    def unary_unary(self, *args: Any, **options: Any) -> _Unary:
        """The callable for a unary method."""
        method = self._channel.unary_unary(*args, **options)
        return _Unary(method, self._defaults, self._closing)

    def unary_stream(self, *args: Any, **options: Any) -> _ServerStreaming:
        """The callable for a server streaming method."""
        method = self._channel.unary_stream(*args, **options)
        return _ServerStreaming(method, self._defaults, self._closing)

    def close(self) -> None:
        """Ends all calls; `closing` is set first, so that they know why."""
        self._closing.set()
        self._channel.close()


class _Unary:
    """Adds credentials, a time limit, a request id, retries and typed errors.

    Other options of a call, such as `wait_for_ready`, are passed on.
    """

    def __init__(self, method: Any, defaults: CallDefaults, closing: Closing) -> None:
        self._method = method
        self._defaults = defaults
        self._closing = closing

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.with_call(*args, **options)[0]

    def with_call(
        self,
        request: object,
        timeout: float | None = None,
        metadata: Metadata = None,
        *args: Any,
        **options: Any,
    ) -> Any:
        """Retries a call until it succeeds, or fails with an error that a retry would not fix."""
        sent = with_request_id(request)
        headers = _headers(metadata, self._defaults)
        tries = Tries(sent, timeout, self._defaults)

        def make() -> Any:
            return self._method.with_call(sent, tries.timeout(), headers, *args, **options)

        while True:
            try:
                answer = _typed(make, self._closing, self._defaults.host)
                _check(answer[0])
                return answer
            except ApiError as error:
                pause = tries.pause(error)
            self._closing.pause(pause)

    def future(
        self,
        request: object,
        timeout: float | None = None,
        metadata: Metadata = None,
        *args: Any,
        **options: Any,
    ) -> Any:
        """Makes a call once: no thread waits here that could retry it."""
        sent = with_request_id(request)
        headers = _headers(metadata, self._defaults)
        limit = Tries(sent, timeout, self._defaults).timeout()
        make = partial(self._method.future, sent, limit, headers, *args, **options)
        call = _typed(make, self._closing, self._defaults.host)
        return _TypedCall[Any](call, self._closing, self._defaults.host)


class _ServerStreaming:
    """Adds credentials and typed errors; no limit unless the caller gave one."""

    def __init__(self, method: Any, defaults: CallDefaults, closing: Closing) -> None:
        self._method = method
        self._defaults = defaults
        self._closing = closing

    def __call__(
        self,
        request: object,
        timeout: float | None = None,
        metadata: Metadata = None,
        *args: Any,
        **options: Any,
    ) -> Any:
        check_limit(timeout)
        headers = _headers(metadata, self._defaults)
        make = partial(self._method, request, timeout, headers, *args, **options)
        call = _typed(make, self._closing, self._defaults.host)
        return _TypedCall[Any](call, self._closing, self._defaults.host)


class _TypedCall(Generic[_Result]):
    """A call in progress whose errors are ApiError; otherwise like the call itself."""

    def __init__(self, call: Any, closing: Closing, host: str) -> None:
        self._call = call
        self._closing = closing
        self._host = host

    def __iter__(self) -> Iterator[_Result]:
        return self

    def __next__(self) -> _Result:
        return cast(_Result, _typed(lambda: next(self._call), self._closing, self._host))

    def result(self, timeout: float | None = None) -> _Result:
        result = _typed(lambda: self._call.result(timeout), self._closing, self._host)
        return cast(_Result, _check(result))

    def exception(self, timeout: float | None = None) -> Exception | None:
        try:
            self.result(timeout)
        except ApiError as error:
            return error
        return None

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._call.add_done_callback(lambda _: callback(self))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


def _typed(get: Callable[[], Any], closing: Closing, host: str) -> Any:
    """What gRPC gives; what it raises is raised as ApiError.

    A closed channel raises errors of several kinds.
    """
    try:
        return get()
    except (grpc.RpcError, grpc.FutureCancelledError, ValueError) as error:
        if closing.is_set():
            raise closed() from error
        if isinstance(error, grpc.RpcError):
            raise api_error(error, host) from error
        raise


def _check(response: _Result | None) -> _Result:
    """The message of a response: gRPC returns None for an OK without one."""
    if response is None:
        raise unreadable()
    return response


def _headers(given: Metadata, defaults: CallDefaults) -> Metadata:
    return (*(given or ()), *defaults.metadata)
