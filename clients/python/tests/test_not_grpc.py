from __future__ import annotations

import socket

import grpc
import pytest

from conftest import Connect
from drivers import Driver
from http2_peer import Answer, peer
from pipewright import ApiError
from pipewright.v1 import GetJobRequest

PAGE = b"<!DOCTYPE html><html><head><title>Bad Gateway</title></head></html>"
NO_STATUS = "answered without a gRPC status: is there a proxy in between?"
TRIES = 5

UNKNOWN = grpc.StatusCode.UNKNOWN
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
CODES = {
    302: UNKNOWN,
    400: grpc.StatusCode.INTERNAL,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.UNIMPLEMENTED,
    413: UNKNOWN,
    429: UNAVAILABLE,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}


def failure(client: Driver, how: str) -> ApiError:
    def make() -> object:
        match how:
            case "unary":
                return client.call("jobs", "GetJob", GetJobRequest())
            case "watch":
                return list(client.watch("j"))
        return list(client.read("j", "s"))

    with pytest.raises(ApiError) as raised:
        make()
    return raised.value


def answered(host: str, status: int) -> str:
    return f"{host} answered with HTTP {status}, which is not gRPC: is there a proxy in between?"


@pytest.mark.parametrize("how", ["unary", "watch", "log"])
@pytest.mark.parametrize("status", CODES)
def test_an_answer_that_is_not_grpc_is_reported_with_its_http_status(
    connect: Connect, status: int, how: str
) -> None:
    answer = Answer([(":status", str(status)), ("content-type", "text/html")], PAGE, ends=False)
    with peer(answer) as host:
        error = failure(connect(host), how)
    code = CODES[status]
    assert (error.message, error.code) == (answered(host, status), code)
    assert (error.http_status, error.reason) == (status, "")
    assert isinstance(error.__cause__, grpc.RpcError)
    is_repeated = code is UNAVAILABLE or (how != "unary" and status in (302, 400, 413))
    assert answer.requests == (TRIES if is_repeated else 1)


@pytest.mark.parametrize("how", ["unary", "watch", "log"])
def test_a_page_with_200_is_not_taken_for_a_message(connect: Connect, how: str) -> None:
    fields = [(":status", "200"), ("content-type", "text/html")]
    with peer(Answer(fields, PAGE)) as host:
        error = failure(connect(host), how)
    assert (error.message, error.code) == (f"{host} {NO_STATUS}", UNKNOWN)
    assert error.http_status is None


@pytest.mark.parametrize("how", ["unary", "watch", "log"])
@pytest.mark.parametrize("kind", ["", "application/grpc"])
def test_an_answer_without_a_status_names_the_host(connect: Connect, kind: str, how: str) -> None:
    fields = [(":status", "200"), *([("content-type", kind)] if kind else [])]
    with peer(Answer(fields, b"")) as host:
        error = failure(connect(host), how)
    assert (error.message, error.code) == (f"{host} {NO_STATUS}", UNKNOWN)
    assert error.http_status is None


def test_a_peer_that_speaks_http1_is_named(connect: Connect) -> None:
    def greet(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        while connection.recv(4096):
            pass

    with peer(greet) as host:
        for how in ("unary", "watch", "log"):
            error = failure(connect(host), how)
            told = "speaks HTTP/1, but gRPC needs HTTP/2: is there a proxy in between?"
            assert (error.message, error.code) == (f"{host} {told}", UNAVAILABLE)
