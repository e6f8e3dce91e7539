"""What the asyncio client adds to each call of a generated stub."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message
from grpc import aio

from .._calls import CallDefaults, Tries, check_limit, with_request_id
from .._errors import api_error, unreadable
from ._closing import Closing

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


def interceptors(defaults: CallDefaults, closing: Closing) -> Sequence[aio.ClientInterceptor]:
    """One for each kind of call: gRPC uses one that has both kinds only for the first."""
    return [_Unary(defaults, closing), _ServerStreaming(defaults, closing)]


class _Unary(aio.UnaryUnaryClientInterceptor):
    """Adds credentials, a time limit, a request id, retries and typed errors."""

    def __init__(self, defaults: CallDefaults, closing: Closing) -> None:
        self._defaults = defaults
        self._closing = closing

    async def intercept_unary_unary(
        self,
        continuation: Callable[
            [aio.ClientCallDetails, _Request], Awaitable[aio.UnaryUnaryCall[_Request, _Response]]
        ],
        client_call_details: aio.ClientCallDetails,
        request: _Request,
    ) -> aio.UnaryUnaryCall[_Request, _Response]:
        """Retries a call until it succeeds, or fails with an error that a retry would not fix."""
        given = client_call_details
        sent = with_request_id(request)
        tries = Tries(sent, given.timeout, self._defaults)
        while True:
            self._closing.check()
            details = _details(given, tries.timeout(), self._defaults)
            call = await continuation(details, sent)
            try:
                _check(await self._closing.unless_closed(call))
                return call
            except aio.AioRpcError as error:
                pause = tries.pause(api_error(error, self._defaults.host))
            await self._closing.pause(pause)


class _ServerStreaming(aio.UnaryStreamClientInterceptor):
    """Adds credentials and typed errors; no limit unless the caller gave one."""

    def __init__(self, defaults: CallDefaults, closing: Closing) -> None:
        self._defaults = defaults
        self._closing = closing

    async def intercept_unary_stream(
        self,
        continuation: Callable[
            [aio.ClientCallDetails, _Request], Awaitable[aio.UnaryStreamCall[_Request, _Response]]
        ],
        client_call_details: aio.ClientCallDetails,
        request: _Request,
    ) -> AsyncIterator[_Response]:
        """Leaves a stream as it is."""
        given = client_call_details
        check_limit(given.timeout)
        self._closing.check()
        call = await continuation(_details(given, given.timeout, self._defaults), request)
        return self._typed(aiter(call))

    async def _typed(self, messages: AsyncIterator[_Response]) -> AsyncIterator[_Response]:
        try:
            while True:
                yield _check(await self._closing.unless_closed(anext(messages)))
        except StopAsyncIteration:
            return
        except aio.AioRpcError as error:
            raise api_error(error, self._defaults.host) from error


def _details(
    given: aio.ClientCallDetails, timeout: float | None, defaults: CallDefaults
) -> aio.ClientCallDetails:
    metadata = aio.Metadata(*(given.metadata or ()), *defaults.metadata)
    return aio.ClientCallDetails(
        given.method, timeout, metadata, given.credentials, given.wait_for_ready
    )


def _check(message: _Response) -> _Response:
    """The message; gRPC returns something else for one that cannot be decoded."""
    if not isinstance(message, Message):
        raise unreadable()
    return message
