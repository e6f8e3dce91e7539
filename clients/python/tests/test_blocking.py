"""What only the client whose calls block has."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Iterator

import grpc
import pytest

import pipewright
from fake_service import PATIENCE, Do, FakeService, Refuse, Silence
from pipewright import ApiError, LogPiece, Stream
from pipewright._closing import Closing
from pipewright._log import LogCursor
from pipewright.v1 import (
    GetJobRequest,
    GetJobResponse,
    Job,
    LogChunk,
    ReadStageLogRequest,
    ReadStageLogResponse,
    TriggerPipelineRequest,
)
from test_watch import events

NOT_FOUND = Refuse(grpc.StatusCode.NOT_FOUND)
INTERRUPT = Do(lambda: os.kill(os.getpid(), signal.SIGINT))


def until(event: threading.Event) -> Do:
    return Do(lambda: event.wait(PATIENCE))


@pytest.fixture
def client(service: FakeService) -> Iterator[pipewright.Client]:
    """A client of the service."""
    with pipewright.connect(service.address) as client:
        yield client


def test_a_watch_is_left_by_break_return_or_error(
    client: pipewright.Client, service: FakeService
) -> None:
    service.on("WatchJob", [events(1), Silence()], [events(1), Silence()])
    for _ in client.watch_job("j", last_seen_sequence=0):
        break
    assert service.calls[0].cancelled()

    def fail() -> None:
        for _ in client.watch_job("j", last_seen_sequence=0):
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert service.calls[1].cancelled()


def test_a_watch_is_left_at_the_end_of_with(
    client: pipewright.Client, service: FakeService
) -> None:
    service.on("WatchJob", [events(1, 2), Silence()])
    with client.watch_job("j", last_seen_sequence=0) as updates:
        next(updates)
    assert [thread for thread in threading.enumerate() if "pipewright" in thread.name] == []
    assert service.calls[0].cancelled()
    assert list(updates) == []


def test_another_thread_may_end_a_watch_that_waits(
    client: pipewright.Client, service: FakeService
) -> None:
    updates = client.watch_job("j", last_seen_sequence=0)
    seen = threading.Event()
    service.on("WatchJob", [events(1), until(seen), Do(updates.close), Silence()])
    for update in updates:
        assert update.sequence == 1
        seen.set()
    assert service.calls[0].cancelled()
    assert len(service.calls) == 1


def test_another_thread_may_end_a_watch_that_pauses(
    client: pipewright.Client, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipewright._backoff.FIRST", 3600)
    monkeypatch.setattr("pipewright._backoff.LONGEST", 3600)
    updates = client.watch_job("j", last_seen_sequence=0)
    # A gap: the rest of the call is useless, so it ends before the pause.
    service.on("WatchJob", [events(1), events(3), Silence()])
    seen: list[int] = []
    reader = threading.Thread(target=lambda: seen.extend(u.sequence for u in updates))
    reader.start()
    assert service.came.wait(PATIENCE)
    assert service.calls[0].cancelled()
    assert reader.is_alive()
    updates.close()
    reader.join(PATIENCE)
    assert not reader.is_alive()
    assert seen == [1]


def test_a_watch_that_was_closed_before_makes_no_call(
    client: pipewright.Client, service: FakeService
) -> None:
    updates = client.watch_job("j")
    updates.close()
    assert list(updates) == []
    assert service.calls == []


def test_a_watch_ends_with_its_client(client: pipewright.Client, service: FakeService) -> None:
    seen = threading.Event()
    service.on("WatchJob", [events(1), until(seen), Do(client.close), Silence()])
    updates = client.watch_job("j", last_seen_sequence=0)
    assert next(updates).sequence == 1
    seen.set()
    with pytest.raises(ApiError, match="the client is closed") as raised:
        next(updates)
    assert raised.value.code is grpc.StatusCode.CANCELLED


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Has interrupts raise, also where what started the tests ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_a_watch(client: pipewright.Client, service: FakeService) -> None:
    seen = threading.Event()
    service.on("WatchJob", [events(1), until(seen), INTERRUPT, Silence()])

    def watch() -> None:
        for _ in client.watch_job("j", last_seen_sequence=0):
            seen.set()

    with pytest.raises(KeyboardInterrupt):
        watch()
    assert service.calls[0].cancelled()


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_a_call(client: pipewright.Client, service: FakeService) -> None:
    service.on("GetJob", [INTERRUPT, Silence()])
    with pytest.raises(KeyboardInterrupt):
        client.jobs.GetJob(GetJobRequest())
    # gRPC ends the call on the service with the exception, whenever that is freed, or here.
    client.close()
    assert service.calls[0].cancelled()


def test_a_call_may_be_a_future(client: pipewright.Client, service: FakeService) -> None:
    service.on("GetJob", [GetJobResponse(job=Job(id="j"))], [NOT_FOUND], [NOT_FOUND])
    future = client.jobs.GetJob.future(GetJobRequest())
    assert future.result(PATIENCE).job.id == "j"
    assert future.exception() is None
    with pytest.raises(ApiError):
        client.jobs.GetJob.future(GetJobRequest()).result()
    errors: queue.Queue[Exception | None] = queue.Queue()
    failed = client.jobs.GetJob.future(GetJobRequest())
    failed.add_done_callback(lambda future: errors.put(future.exception()))
    assert isinstance(errors.get(timeout=PATIENCE), ApiError)


def test_a_future_has_one_try_and_a_request_id(
    client: pipewright.Client, service: FakeService
) -> None:
    service.on("TriggerPipeline", [Refuse(grpc.StatusCode.UNAVAILABLE)])
    request = TriggerPipelineRequest(pipeline_id="p")
    with pytest.raises(ApiError):
        client.pipelines.TriggerPipeline.future(request).result(PATIENCE)
    (sent,) = service.requests("TriggerPipeline")
    assert sent.request_id
    assert not request.request_id


def test_a_call_may_come_with_its_metadata(client: pipewright.Client, service: FakeService) -> None:
    service.on("GetJob", [GetJobResponse(job=Job(id="j"))])
    response, call = client.jobs.GetJob.with_call(GetJobRequest())
    assert response.job.id == "j"
    assert call.code() is grpc.StatusCode.OK


def test_a_stream_that_is_being_closed_by_another_has_ended() -> None:
    given: list[list[LogPiece]] = []

    class Call:
        """At the second cancel it is the stream itself that leaves."""

        cancels = 0

        def __next__(self) -> ReadStageLogResponse:
            return ReadStageLogResponse(chunk=LogChunk(data=b"a"))

        def cancel(self) -> None:
            self.cancels += 1
            if self.cancels == 2:
                given.append(list(stream))

    call = Call()
    stream = Stream(LogCursor(ReadStageLogRequest()), lambda _: call, lambda: None, Closing())
    next(stream)
    stream.close()
    assert given == [[]]
