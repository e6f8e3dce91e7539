from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import grpc
import pytest

from conftest import Connect
from cutting_proxy import CuttingProxy
from drivers import Driver
from fake_service import PATIENCE, Do, FakeService, Silence
from pipewright import ApiError, _endpoint
from pipewright.v1 import (
    CreatePipelineRequest,
    CreatePipelineResponse,
    GetJobRequest,
    GetJobResponse,
    Job,
    LogChunk,
    Pipeline,
    ReadStageLogRequest,
    ReadStageLogResponse,
    WatchJobRequest,
)

LARGE = 300_000
SETTINGS = 4


@pytest.fixture
def proxy(service: FakeService) -> Iterator[CuttingProxy]:
    """A proxy to the service that can be cut."""
    proxy = CuttingProxy(service.port)
    yield proxy
    proxy.stop()


@pytest.fixture
def through(connect: Connect, proxy: CuttingProxy) -> Driver:
    """A client that goes through the proxy."""
    return connect(proxy.address)


def create(client: Driver, name: str) -> str:
    request = CreatePipelineRequest(pipeline=Pipeline(name=name))
    response = client.call("pipelines", "CreatePipeline", request)
    assert isinstance(response, CreatePipelineResponse)
    return response.pipeline.name


def created(name: str) -> CreatePipelineResponse:
    return CreatePipelineResponse(pipeline=Pipeline(name=name))


@pytest.mark.parametrize("name", ["small", "x" * LARGE], ids=["small", "large"])
def test_a_call_whose_response_is_lost_is_retried(
    through: Driver, service: FakeService, proxy: CuttingProxy, name: str
) -> None:
    service.on("CreatePipeline", [Do(proxy.cut), Silence()], [created("mine")])
    assert create(through, name) == "mine"
    first, again = service.requests("CreatePipeline")
    assert first == again
    assert first.request_id


def test_a_call_whose_connection_is_cut_within_the_response_is_retried(
    through: Driver, service: FakeService, proxy: CuttingProxy
) -> None:
    proxy.cut_after(LARGE // 2)
    service.on("CreatePipeline", [created("x" * LARGE)], [created("mine")])
    assert create(through, "mine") == "mine"
    first, again = service.requests("CreatePipeline")
    assert first == again


def test_a_log_whose_connection_is_cut_is_complete(
    through: Driver, service: FakeService, proxy: CuttingProxy
) -> None:
    def chunks(start: int) -> list[ReadStageLogResponse]:
        return [
            ReadStageLogResponse(
                attempt=1, next_offset=at + 1000, chunk=LogChunk(offset=at, data=b"x" * 1000)
            )
            for at in range(start, LARGE, 1000)
        ]

    proxy.cut_after(LARGE // 2)
    service.on("ReadStageLog", chunks(0), chunks(0))
    size = 0
    for piece in through.read("j", "s"):
        assert isinstance(piece, LogChunk)
        assert piece.offset == size
        size += len(piece.data)
    assert size == LARGE
    assert service.requests("ReadStageLog")[1].offset > 0


def test_the_window_of_a_stream_is_64_kib(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = connect(f"127.0.0.1:{listener.getsockname()[1]}")
        # The limit ends the call: it gets no response.
        with pytest.raises(ApiError) as raised:
            client.call("jobs", "GetJob", GetJobRequest(), timeout=0.2)
        assert raised.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as sent:
            assert sent.read(24) == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            length, kind = struct.unpack(">xHB5x", sent.read(9))
            settings = dict(struct.iter_unpack(">HI", sent.read(length)))
    assert kind == SETTINGS
    assert settings[4] == 64 * 1024


def test_streams_without_a_reader_do_not_block_others(client: Driver, service: FakeService) -> None:
    chunk = ReadStageLogResponse(chunk=LogChunk(data=b"x" * 50_000))
    service.on("ReadStageLog", *[[chunk] * 6] * 12)
    service.on("GetJob", [GetJobResponse(job=Job(id="x" * LARGE))])
    streams = [client.stream("jobs", "ReadStageLog", ReadStageLogRequest()) for _ in range(12)]
    for stream in streams:
        next(stream)
    assert client.call("jobs", "GetJob", GetJobRequest()).job.id == "x" * LARGE
    for stream in streams:
        assert len(list(stream)) == 5


def test_a_service_that_answers_no_ping_is_given_up(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = tuple(
        (name, value // 200 if name.endswith(("keepalive_time_ms", "timeout_ms")) else value)
        for name, value in _endpoint.OPTIONS
    )
    monkeypatch.setattr(_endpoint, "OPTIONS", quick)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = connect(f"127.0.0.1:{listener.getsockname()[1]}")

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(struct.pack(">xHB5x", 0, SETTINGS))
                while connection.recv(4096):
                    pass

        peer = threading.Thread(target=answer)
        peer.start()
        watch = client.stream("jobs", "WatchJob", WatchJobRequest(), timeout=PATIENCE)
        with pytest.raises(ApiError, match="ping"):
            next(watch)
        peer.join()


def test_pings_and_pauses_are_those_of_every_client() -> None:
    options = dict(_endpoint.OPTIONS)
    assert options["grpc.keepalive_time_ms"] == 30_000
    assert options["grpc.keepalive_timeout_ms"] == 20_000
    assert options["grpc.http2.ping_timeout_ms"] == 20_000
    assert options["grpc.keepalive_permit_without_calls"] == 0
    assert options["grpc.http2.max_pings_without_data"] == 0
    assert options["grpc.initial_reconnect_backoff_ms"] == 100
    assert options["grpc.max_reconnect_backoff_ms"] == 5_000
    # The time limit of one attempt.
    assert options["grpc.min_reconnect_backoff_ms"] == 5_000
