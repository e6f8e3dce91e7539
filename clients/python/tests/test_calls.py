from __future__ import annotations

import math
import uuid
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo

from conftest import Connect
from drivers import Driver
from fake_service import FakeService, Garbage, Head, Refuse, Silence
from pipewright import ApiError
from pipewright.runner.v1 import AcquireLeaseRequest
from pipewright.v1 import (
    CancelJobRequest,
    CreatePipelineRequest,
    CreatePipelineResponse,
    DeletePipelineRequest,
    GetJobRequest,
    GetJobResponse,
    Job,
    Pipeline,
    RetryJobRequest,
    TriggerPipelineRequest,
    TriggerPipelineResponse,
    UpdatePipelineRequest,
    WatchJobRequest,
)

UNAVAILABLE = Refuse(grpc.StatusCode.UNAVAILABLE)
TRIGGERED = TriggerPipelineResponse(job=Job(id="j"))


def test_an_unavailable_call_is_retried_with_the_same_id(
    client: Driver, service: FakeService
) -> None:
    service.on("TriggerPipeline", *[[UNAVAILABLE]] * 4, [TRIGGERED])
    request = TriggerPipelineRequest(pipeline_id="p", variables={"A": "b"})
    assert client.call("pipelines", "TriggerPipeline", request) == TRIGGERED
    sent = service.requests("TriggerPipeline")
    assert len(sent) == 5
    assert all(one == sent[0] for one in sent)
    assert uuid.UUID(sent[0].request_id).version == 4
    assert (sent[0].pipeline_id, dict(sent[0].variables)) == ("p", {"A": "b"})


def test_the_message_of_the_caller_is_not_changed(client: Driver, service: FakeService) -> None:
    request = TriggerPipelineRequest(pipeline_id="p")
    for _ in range(2):
        service.on("TriggerPipeline", [TRIGGERED])
        client.call("pipelines", "TriggerPipeline", request)
    assert request == TriggerPipelineRequest(pipeline_id="p")
    one, other = service.requests("TriggerPipeline")
    assert one.request_id != other.request_id


def test_an_invalid_response_is_an_error(client: Driver, service: FakeService) -> None:
    service.on("GetJob", [Garbage()])
    with pytest.raises(ApiError) as raised:
        client.call("jobs", "GetJob", GetJobRequest(job_id="j"))
    assert raised.value.code is grpc.StatusCode.INTERNAL
    assert len(service.called("GetJob")) == 1


def test_a_pause_is_as_long_as_the_service_asks_for(client: Driver, service: FakeService) -> None:
    # The limit ends before the pause that the service requests.
    asked = RetryInfo(retry_delay=Duration(seconds=3600))
    service.on("GetJob", [Refuse(grpc.StatusCode.UNAVAILABLE, details=[asked])])
    with pytest.raises(ApiError) as raised:
        client.call("jobs", "GetJob", GetJobRequest(job_id="j"), timeout=0.2)
    assert raised.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(service.called("GetJob")) == 1


def test_a_call_is_tried_five_times_in_all(client: Driver, service: FakeService) -> None:
    service.on("GetJob", *[[UNAVAILABLE]] * 6)
    with pytest.raises(ApiError) as raised:
        client.call("jobs", "GetJob", GetJobRequest())
    assert raised.value.code is grpc.StatusCode.UNAVAILABLE
    assert len(service.calls) == 5


def test_a_call_whose_response_had_begun_is_retried(client: Driver, service: FakeService) -> None:
    service.on("GetJob", [Head(), UNAVAILABLE], [GetJobResponse(job=Job(id="j"))])
    assert client.call("jobs", "GetJob", GetJobRequest()).job.id == "j"


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNKNOWN,
    ],
)
def test_other_errors_are_not_retried(
    client: Driver, service: FakeService, code: grpc.StatusCode
) -> None:
    service.on("GetJob", [Refuse(code)])
    with pytest.raises(ApiError) as raised:
        client.call("jobs", "GetJob", GetJobRequest())
    assert raised.value.code is code
    assert len(service.calls) == 1


@pytest.mark.parametrize(
    ("stub", "request_"),
    [
        ("pipelines", CreatePipelineRequest(pipeline=Pipeline(name="n"))),
        ("pipelines", UpdatePipelineRequest()),
        ("pipelines", DeletePipelineRequest()),
        ("pipelines", TriggerPipelineRequest()),
        ("jobs", RetryJobRequest()),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_calls_that_change_something_get_a_request_id(
    client: Driver, service: FakeService, stub: str, request_: Any
) -> None:
    method = type(request_).__name__.removesuffix("Request")
    service.on(method, [])
    client.call(stub, method, request_)
    uuid.UUID(service.requests(method)[0].request_id)


def test_a_request_id_of_the_caller_is_kept(client: Driver, service: FakeService) -> None:
    service.on("TriggerPipeline", [TRIGGERED])
    request = TriggerPipelineRequest(request_id="mine")
    client.call("pipelines", "TriggerPipeline", request)
    assert service.requests("TriggerPipeline")[0].request_id == "mine"


def test_a_check_gets_no_request_id(client: Driver, service: FakeService) -> None:
    service.on("CreatePipeline", [CreatePipelineResponse()])
    client.call("pipelines", "CreatePipeline", CreatePipelineRequest(validate_only=True))
    assert service.requests("CreatePipeline")[0].request_id == ""


def test_a_call_without_the_field_is_sent_as_it_is(client: Driver, service: FakeService) -> None:
    service.on("CancelJob", [UNAVAILABLE], [])
    request = CancelJobRequest(job_id="j", reason="r")
    client.call("jobs", "CancelJob", request)
    assert service.requests("CancelJob") == [request, request]


def test_calls_of_a_runner_are_neither_limited_repeated_nor_touched(
    client: Driver, service: FakeService
) -> None:
    service.on("AcquireLease", [UNAVAILABLE])
    request = AcquireLeaseRequest(runner_id="r")
    with pytest.raises(ApiError):
        client.call("leases", "AcquireLease", request)
    assert service.requests("AcquireLease") == [request]
    assert service.calls[0].limit == math.inf


def is_about(seconds: float, limit: float) -> bool:
    """A limit shrinks by the transmission time, and gRPC rounds it up to three digits."""
    return 0.5 * seconds < limit <= 1.02 * seconds


def test_a_call_has_a_limit_of_30_seconds(client: Driver, service: FakeService) -> None:
    service.on("GetJob", [])
    client.call("jobs", "GetJob", GetJobRequest())
    assert is_about(30, service.calls[0].limit)


def test_a_call_may_have_a_limit_of_its_own(client: Driver, service: FakeService) -> None:
    service.on("GetJob", [])
    client.call("jobs", "GetJob", GetJobRequest(), timeout=1000)
    assert is_about(1000, service.calls[0].limit)


def test_a_client_may_have_another_limit(connect: Connect, service: FakeService) -> None:
    service.on("GetJob", [])
    connect(service.address, timeout=1000).call("jobs", "GetJob", GetJobRequest())
    assert is_about(1000, service.calls[0].limit)


def test_a_client_may_have_no_limit(connect: Connect, service: FakeService) -> None:
    service.on("GetJob", [])
    connect(service.address, timeout=math.inf).call("jobs", "GetJob", GetJobRequest())
    assert service.calls[0].limit == math.inf


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_limit_is_positive(connect: Connect, timeout: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        connect("127.0.0.1:1", timeout=timeout)


def test_a_call_ends_at_its_limit(client: Driver, service: FakeService) -> None:
    service.on("GetJob", [Silence()])
    with pytest.raises(ApiError) as raised:
        client.call("jobs", "GetJob", GetJobRequest(), timeout=0.05)
    assert raised.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_the_end_of_the_limit_is_reported_whatever_came_before(
    client: Driver, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipewright._backoff.FIRST", 3000)
    service.on("GetJob", [UNAVAILABLE])
    with pytest.raises(ApiError) as raised:
        client.call("jobs", "GetJob", GetJobRequest(), timeout=0.25)
    assert raised.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(service.calls) <= 1


def test_a_limit_of_a_call_is_not_below_0(client: Driver, service: FakeService) -> None:
    with pytest.raises(ValueError, match="below 0"):
        client.call("jobs", "GetJob", GetJobRequest(), timeout=-1)
    assert service.calls == []


def test_a_stream_has_no_limit_but_that_of_the_caller(client: Driver, service: FakeService) -> None:
    service.on("WatchJob", [], [Silence()])
    assert list(client.stream("jobs", "WatchJob", WatchJobRequest())) == []
    assert service.calls[0].limit == math.inf
    with pytest.raises(ApiError) as raised:
        list(client.stream("jobs", "WatchJob", WatchJobRequest(), timeout=0.05))
    assert raised.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
