"""The error of calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar, cast

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from ._not_grpc import not_grpc

_DETAILS = "grpc-status-details-bin"

_Detail = TypeVar("_Detail", bound=Message)


@dataclass(frozen=True)
class FieldViolation:
    """An invalid field of a request."""

    field: str
    """Its path, such as `pipeline.stages[0].name`."""
    description: str
    """What is wrong, for people."""


class ApiError(Exception):
    """A call failed: the service refused it, or was not reached."""

    code: grpc.StatusCode
    """The gRPC status, such as `grpc.StatusCode.NOT_FOUND`."""
    message: str
    """What happened, for people."""
    reason: str
    """What happened, for programs, such as `ETAG_MISMATCH`; empty if the service was not
    reached."""
    domain: str
    """The namespace of the reason, `pipewright`; empty if the reason is."""
    metadata: Mapping[str, str]
    """Further facts about the reason."""
    field_violations: tuple[FieldViolation, ...]
    """All invalid fields of the request."""
    retry_delay: timedelta | None
    """The pause that the service asks for before another try."""
    http_status: int | None
    """The HTTP status of an answer that was not gRPC, such as one of a proxy."""

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        domain: str = "",
        metadata: Mapping[str, str] | None = None,
        field_violations: Iterable[FieldViolation] = (),
        retry_delay: timedelta | None = None,
        http_status: int | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.reason = reason
        self.domain = domain
        self.metadata = dict(metadata or {})
        self.field_violations = tuple(field_violations)
        self.retry_delay = retry_delay
        self.http_status = http_status

    def __str__(self) -> str:
        reason = f" {self.reason}" if self.reason else ""
        return f"{self.code.name}{reason}: {self.message}"


class ClosedError(ApiError):
    """The client was closed: every other call would fail, too."""


def closed() -> ClosedError:
    """The error of all waiting and later calls of a closed client."""
    return ClosedError(grpc.StatusCode.CANCELLED, "the client is closed")


def unreadable() -> ApiError:
    """The error of a response without a message, or with one that cannot be decoded."""
    return ApiError(grpc.StatusCode.INTERNAL, "the service sent no message that can be read")


class _FailedCall(Protocol):
    """The methods of errors of both kinds of channels, which gRPC's types do not declare."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


def api_error(error: grpc.RpcError, host: str) -> ApiError:
    """The typed error for one of gRPC's, which is its cause."""
    failed = cast(_FailedCall, error)
    details = _details(failed)
    foreign = not_grpc(host, failed.code(), failed.details() or "")
    if foreign and not details:
        typed = ApiError(foreign.code, foreign.message, http_status=foreign.http_status)
        typed.__cause__ = error
        return typed
    info = _detail(details, ErrorInfo) or ErrorInfo()
    request = _detail(details, BadRequest) or BadRequest()
    retry = _detail(details, RetryInfo)
    typed = ApiError(
        failed.code(),
        failed.details() or "",
        reason=info.reason,
        domain=info.domain,
        metadata=info.metadata,
        field_violations=[
            FieldViolation(violation.field, violation.description)
            for violation in request.field_violations
        ],
        retry_delay=_duration(retry) if retry else None,
    )
    typed.__cause__ = error
    return typed


def _details(failed: _FailedCall) -> Iterable[Any]:
    """The details of the status. Broken details are ignored: the status matters more."""
    for key, value in failed.trailing_metadata() or ():
        if key == _DETAILS and isinstance(value, bytes):
            try:
                return Status.FromString(value).details
            except DecodeError:
                return ()
    return ()


def _detail(details: Iterable[Any], kind: type[_Detail]) -> _Detail | None:
    """The first detail of a kind."""
    for detail in details:
        found = kind()
        try:
            if detail.Unpack(found):
                return found
        except DecodeError:
            continue
    return None


def _duration(retry: RetryInfo) -> timedelta | None:
    try:
        return retry.retry_delay.ToTimedelta()
    except (ValueError, OverflowError):
        return None
