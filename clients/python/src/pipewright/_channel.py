"""What the blocking client adds to each call of a generated stub.

A channel of its own, and not an interceptor of gRPC's, whose intercepted channel looks a method
up anew for each call: on a channel that was closed that crashes the process (grpcio 1.85).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar, cast

import grpc

from ._calls import CallDefaults, Tries, with_request_id
from ._errors import api_error

_Result = TypeVar("_Result")

Metadata = Any


class Channel:
    """The part of a channel that the stubs of this API need."""

    def __init__(self, channel: grpc.Channel, defaults: CallDefaults) -> None:
        self._channel = channel
        self._defaults = defaults

    def unary_unary(self, *args: Any, **options: Any) -> _Unary:
        """What makes the calls of a unary method."""
        return _Unary(self._channel.unary_unary(*args, **options), self._defaults)

    def unary_stream(self, *args: Any, **options: Any) -> _ServerStreaming:
        """What makes the calls of a server streaming method."""
        return _ServerStreaming(self._channel.unary_stream(*args, **options), self._defaults)

    def close(self) -> None:
        """Ends all calls."""
        self._channel.close()


class _Unary:
    """Adds credentials, a time limit, a request id, other tries and typed errors.

    What else is given to a call, such as `wait_for_ready`, is passed on.
    """

    def __init__(self, method: Any, defaults: CallDefaults) -> None:
        self._method = method
        self._defaults = defaults

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
        while True:
            try:
                return self._method.with_call(sent, tries.timeout(), headers, *args, **options)
            except grpc.RpcError as error:
                pause = tries.pause(api_error(error))
            time.sleep(pause)

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
        return _TypedCall[Any](self._method.future(sent, limit, headers, *args, **options))


class _ServerStreaming:
    """Adds credentials and typed errors; no limit unless the caller gave one."""

    def __init__(self, method: Any, defaults: CallDefaults) -> None:
        self._method = method
        self._defaults = defaults

    def __call__(
        self,
        request: object,
        timeout: float | None = None,
        metadata: Metadata = None,
        *args: Any,
        **options: Any,
    ) -> Any:
        headers = _headers(metadata, self._defaults)
        return _TypedCall[Any](self._method(request, timeout, headers, *args, **options))


class _TypedCall(Generic[_Result]):
    """A call under way whose errors are ApiError; in all else it is the call itself."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __iter__(self) -> Iterator[_Result]:
        return self

    def __next__(self) -> _Result:
        return self._typed(lambda: next(self._call))

    def result(self, timeout: float | None = None) -> _Result:
        return self._typed(lambda: self._call.result(timeout))

    def exception(self, timeout: float | None = None) -> Exception | None:
        error = self._call.exception(timeout)
        return api_error(error) if isinstance(error, grpc.RpcError) else error

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._call.add_done_callback(lambda _: callback(self))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def _typed(self, get: Callable[[], Any]) -> _Result:
        try:
            return cast(_Result, get())
        except grpc.RpcError as error:
            raise api_error(error) from error


def _headers(given: Metadata, defaults: CallDefaults) -> Metadata:
    return (*(given or ()), *defaults.metadata)
