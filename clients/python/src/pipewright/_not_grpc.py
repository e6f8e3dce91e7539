"""Answers that are not gRPC, such as a page of a proxy between the client and the service."""

from __future__ import annotations

import re
from dataclasses import dataclass

import grpc

_HTTP_STATUS = re.compile(r"Received http2 header with status: (\d+)")
_NO_STATUS = ("No status received", "Stream removed (Data frame with END_STREAM flag received)")
_PROXY = "is there a proxy in between?"


@dataclass(frozen=True)
class NotGrpc:
    """What the error of such an answer has."""

    code: grpc.StatusCode
    message: str
    http_status: int | None = None


def not_grpc(host: str, code: grpc.StatusCode, details: str) -> NotGrpc | None:
    """What the answer was, if it was not gRPC, by what the library says about it.

    The library hides the content type and the body. A page with HTTP status 200 is to it an
    answer that ends without a gRPC status, and so is now and then a page with another one whose
    end comes together with its beginning (grpcio 1.85).
    """
    if status := _HTTP_STATUS.fullmatch(details):
        message = f"{host} answered with HTTP {status[1]}, which is not gRPC: {_PROXY}"
        return NotGrpc(code, message, int(status[1]))
    if details in _NO_STATUS:
        return NotGrpc(code, f"{host} answered without a gRPC status: {_PROXY}")
    if "Trying to connect an http1.x server" in details:
        return NotGrpc(code, f"{host} speaks HTTP/1, but gRPC needs HTTP/2: {_PROXY}")
    return None
