"""What the asyncio client adds to each call of a generated stub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from grpc import aio

from .._calls import CallDefaults, Tries, with_request_id
from .._errors import api_error

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


def interceptors(defaults: CallDefaults) -> Sequence[aio.ClientInterceptor]:
    """One for each kind of call: gRPC takes one that is of both kinds for the first alone."""
    return [_Unary(defaults), _ServerStreaming(defaults)]


class _Unary(aio.UnaryUnaryClientInterceptor):
    """Adds credentials, a time limit, a request id, other tries and typed errors."""

    def __init__(self, defaults: CallDefaults) -> None:
        self._defaults = defaults

    async def intercept_unary_unary(
        self,
        continuation: Callable[
            [aio.ClientCallDetails, _Request], Awaitable[aio.UnaryUnaryCall[_Request, _Response]]
        ],
        client_call_details: aio.ClientCallDetails,
        request: _Request,
    ) -> aio.UnaryUnaryCall[_Request, _Response]:
        """Tries a call until it has an answer, or an error that another try will not mend."""
        given = client_call_details
        sent = with_request_id(request)
        tries = Tries(sent, given.timeout, self._defaults)
        while True:
            details = _details(given, tries.timeout(), self._defaults)
            call = await continuation(details, sent)
            try:
                await call
                return call
            except aio.AioRpcError as error:
                pause = tries.pause(api_error(error))
            await asyncio.sleep(pause)


class _ServerStreaming(aio.UnaryStreamClientInterceptor):
    """Adds credentials and typed errors; no limit unless the caller gave one."""

    def __init__(self, defaults: CallDefaults) -> None:
        self._defaults = defaults

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
        return _typed(await continuation(_details(given, given.timeout, self._defaults), request))


def _details(
    given: aio.ClientCallDetails, timeout: float | None, defaults: CallDefaults
) -> aio.ClientCallDetails:
    metadata = aio.Metadata(*(given.metadata or ()), *defaults.metadata)
    return aio.ClientCallDetails(
        given.method, timeout, metadata, given.credentials, given.wait_for_ready
    )


async def _typed(messages: AsyncIterable[_Response]) -> AsyncIterator[_Response]:
    try:
        async for message in messages:
            yield message
    except aio.AioRpcError as error:
        raise api_error(error) from error
