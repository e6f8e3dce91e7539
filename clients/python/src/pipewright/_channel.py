"""What the blocking client adds to each call of a generated stub.

A channel of its own, and not an interceptor of gRPC's, whose intercepted channel looks a method
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
        """What makes the calls of a unary method."""
        method = self._channel.unary_unary(*args, **options)
        return _Unary(method, self._defaults, self._closing)

    def unary_stream(self, *args: Any, **options: Any) -> _ServerStreaming:
        """What makes the calls of a server streaming method."""
        method = self._channel.unary_stream(*args, **options)
        return _ServerStreaming(method, self._defaults, self._closing)

    def close(self) -> None:
        """Ends all calls, which see by what was set first why they end."""
        self._closing.set()
        self._channel.close()


class _Unary:
    """Adds credentials, a time limit, a request id, other tries and typed errors.

    What else is given to a call, such as `wait_for_ready`, is passed on.
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
        """Tries a call until it has an answer, or an error that another try will not mend."""
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
        """Tries a call once: nobody waits here who could try it again."""
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
    """A call under way whose errors are ApiError; in all else it is the call itself."""

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

    Of a channel that was closed these are errors of several kinds.
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
    """The message of an answer: gRPC gives None for an OK without one."""
    if response is None:
        raise unreadable()
    return response


def _headers(given: Metadata, defaults: CallDefaults) -> Metadata:
    return (*(given or ()), *defaults.metadata)
