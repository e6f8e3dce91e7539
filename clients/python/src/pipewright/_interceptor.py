"""What the blocking client adds to each call of a generated stub."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, cast

import grpc

from ._calls import CallDefaults, Tries, with_request_id
from ._errors import api_error

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


@dataclass(frozen=True)
class _Details(grpc.ClientCallDetails):
    """How a call is made; gRPC has no public class of it that can be filled in."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class Interceptor(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Adds credentials, a time limit, a request id, other tries and typed errors."""

    def __init__(self, defaults: CallDefaults) -> None:
        self._defaults = defaults

    def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.ClientCallDetails, _Request], Any],
        client_call_details: grpc.ClientCallDetails,
        request: _Request,
    ) -> Any:
        """Tries a call until it has an answer, or an error that another try will not mend.

        The `future` of a stub comes here, too: it is tried once, as nobody waits here.
        """
        details = self._details(client_call_details)
        sent = with_request_id(request)
        limit = self._defaults.timeout if details.timeout is None else details.timeout
        tries = Tries(sent, limit)
        while True:
            call = continuation(replace(details, timeout=tries.timeout()), sent)
            if not call.done():
                return _TypedCall[Any](call)
            error = call.exception()
            if error is None:
                return call
            if not isinstance(error, grpc.RpcError):
                raise error
            time.sleep(tries.pause(api_error(error)))

    def intercept_unary_stream(
        self,
        continuation: Callable[[grpc.ClientCallDetails, _Request], Any],
        client_call_details: grpc.ClientCallDetails,
        request: _Request,
    ) -> Any:
        """Leaves a stream as it is, without a limit unless the caller gave one."""
        return _TypedCall[Any](continuation(self._details(client_call_details), request))

    def _details(self, given: grpc.ClientCallDetails) -> _Details:
        return _Details(
            given.method,
            given.timeout,
            (*(given.metadata or ()), *self._defaults.metadata),
            given.credentials,
            given.wait_for_ready,
            given.compression,
        )


class _TypedCall(Generic[_Response]):
    """A call under way whose errors are ApiError; in all else it is the call itself."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __iter__(self) -> Iterator[_Response]:
        return self

    def __next__(self) -> _Response:
        return self._typed(lambda: next(self._call))

    def result(self, timeout: float | None = None) -> _Response:
        return self._typed(lambda: self._call.result(timeout))

    def exception(self, timeout: float | None = None) -> Exception | None:
        error = self._call.exception(timeout)
        return api_error(error) if isinstance(error, grpc.RpcError) else error

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._call.add_done_callback(lambda _: callback(self))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def _typed(self, get: Callable[[], Any]) -> _Response:
        try:
            return cast(_Response, get())
        except grpc.RpcError as error:
            raise api_error(error) from error
