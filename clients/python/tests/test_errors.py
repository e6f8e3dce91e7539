from __future__ import annotations

import pickle
from datetime import timedelta

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, Help, RetryInfo
from google.rpc.status_pb2 import Status

from conftest import Connect
from drivers import Driver
from fake_service import METHODS, SERVICES, FakeService, Refuse
from pipewright import ApiError, FieldViolation
from pipewright.v1 import GetJobRequest

INVALID = grpc.StatusCode.INVALID_ARGUMENT
INFO = ErrorInfo(reason="INVALID_FIELDS", domain="pipewright", metadata={"key": "value"})


def refused(client: Driver, service: FakeService, refuse: Refuse) -> ApiError:
    service.on("GetJob", [refuse])
    with pytest.raises(ApiError) as raised:
        client.call("jobs", "GetJob", GetJobRequest(job_id="j"))
    return raised.value


def test_an_error_has_all_that_the_service_said(client: Driver, service: FakeService) -> None:
    violations = [
        BadRequest.FieldViolation(field="a.b[0]", description="is required"),
        BadRequest.FieldViolation(field="c", description="is too long"),
    ]
    details: list[Message] = [
        Help(),
        INFO,
        BadRequest(field_violations=violations),
        RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)),
    ]
    error = refused(client, service, Refuse(INVALID, "not valid", details))
    assert error.code is INVALID
    assert error.message == "not valid"
    assert (error.reason, error.domain) == ("INVALID_FIELDS", "pipewright")
    assert error.metadata == {"key": "value"}
    assert error.field_violations == (
        FieldViolation("a.b[0]", "is required"),
        FieldViolation("c", "is too long"),
    )
    assert error.retry_delay == timedelta(seconds=1.5)
    assert str(error) == "INVALID_ARGUMENT INVALID_FIELDS: not valid"
    assert isinstance(error.__cause__, grpc.RpcError)


def assert_no_details(error: ApiError) -> None:
    assert (error.reason, error.domain, error.metadata) == ("", "", {})
    assert (error.field_violations, error.retry_delay) == ((), None)


def test_an_error_may_come_without_details(client: Driver, service: FakeService) -> None:
    error = refused(client, service, Refuse(INVALID, "plain"))
    assert error.message == "plain"
    assert_no_details(error)


def test_broken_details_do_not_hide_the_status(client: Driver, service: FakeService) -> None:
    error = refused(client, service, Refuse(INVALID, "broken", raw_details=b"\xff\xff"))
    assert (error.code, error.message) == (INVALID, "broken")
    assert_no_details(error)


def test_one_broken_detail_does_not_hide_another(client: Driver, service: FakeService) -> None:
    broken = Any(type_url="type.googleapis.com/google.rpc.BadRequest", value=b"\xff\xff")
    good = Any()
    good.Pack(INFO)
    raw = Status(code=3, message="broken", details=[broken, good]).SerializeToString()
    error = refused(client, service, Refuse(INVALID, "broken", raw_details=raw))
    assert error.reason == "INVALID_FIELDS"
    assert error.field_violations == ()


def test_a_pause_that_cannot_be_is_left_out(client: Driver, service: FakeService) -> None:
    pause = RetryInfo(retry_delay=Duration(seconds=2**62))
    error = refused(client, service, Refuse(INVALID, "broken", [pause, INFO]))
    assert (error.retry_delay, error.reason) == (None, "INVALID_FIELDS")


def test_a_service_that_is_not_reached_gives_no_reason(connect: Connect) -> None:
    with pytest.raises(ApiError) as raised:
        connect("127.0.0.1:1").call("jobs", "GetJob", GetJobRequest())
    assert raised.value.code is grpc.StatusCode.UNAVAILABLE
    assert_no_details(raised.value)


@pytest.mark.parametrize(("stub", "method"), METHODS, ids=[method for _, method in METHODS])
def test_every_method_raises_it(
    client: Driver, service: FakeService, stub: str, method: str
) -> None:
    described = SERVICES[stub].methods_by_name[method]
    request = GetMessageClass(described.input_type)()
    service.on(method, [Refuse(INVALID, "no", [INFO])])
    make = client.stream if described.server_streaming else client.call
    with pytest.raises(ApiError) as raised:
        list(make(stub, method, request))
    assert raised.value.reason == "INVALID_FIELDS"


def test_an_error_can_be_sent_to_another_process() -> None:
    error = ApiError(INVALID, "no", reason="R", field_violations=[FieldViolation("a", "b")])
    copied = pickle.loads(pickle.dumps(error))
    assert vars(copied) == vars(error)
    assert str(copied) == str(error)
