from __future__ import annotations

import time
from typing import Any

import grpc
import pytest

from conftest import Connect
from drivers import Driver
from fake_service import FakeService, Refuse, Silence, Step
from pipewright import ApiError, JobUpdate
from pipewright._watch import WatchCursor
from pipewright.v1 import (
    GetJobResponse,
    Job,
    JobEnded,
    JobEvent,
    JobEventBatch,
    JobHeartbeat,
    JobSnapshot,
    StageProgressed,
    WatchJobResponse,
)

UNAVAILABLE = Refuse(grpc.StatusCode.UNAVAILABLE)
# A stream counts as broken after three of these, in seconds.
SHORT = 0.1


@pytest.fixture(autouse=True)
def _short_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipewright._watch._SHORTEST_HEARTBEAT", SHORT)


def events(*sequences: int, end: int | None = None) -> WatchJobResponse:
    """A batch; the event of the sequence `end` ends the job."""
    batch = [JobEvent(sequence=sequence, stage_progressed=PROGRESS) for sequence in sequences]
    if end is not None:
        batch.append(JobEvent(sequence=end, job_ended=JobEnded(job=job(end))))
    return WatchJobResponse(events=JobEventBatch(events=batch))


def snapshot(sequence: int, state: Job.State = Job.STATE_RUNNING) -> WatchJobResponse:
    return WatchJobResponse(snapshot=JobSnapshot(job=job(sequence, state)))


def heartbeat(sequence: int = 0) -> WatchJobResponse:
    return WatchJobResponse(heartbeat=JobHeartbeat(last_sequence=sequence))


def job(sequence: int, state: Job.State = Job.STATE_SUCCEEDED) -> Job:
    return Job(id="j", last_sequence=sequence, state=state)


PROGRESS = StageProgressed(stage_name="s")


def sequences(updates: list[JobUpdate]) -> list[int]:
    return [update.sequence for update in updates]


def asked(service: FakeService) -> list[int | None]:
    """The last seen sequence of each call of WatchJob."""
    return [
        request.last_seen_sequence if request.HasField("last_seen_sequence") else None
        for request in service.requests("WatchJob")
    ]


def watched(client: Driver, **options: Any) -> list[int]:
    return sequences(list(client.watch("j", **options)))


def test_all_events_come_until_the_job_has_ended(client: Driver, service: FakeService) -> None:
    service.on("WatchJob", [events(1, 2), heartbeat(2), events(3, end=4)])
    updates = list(client.watch("j", last_seen_sequence=0))
    assert sequences(updates) == [1, 2, 3, 4]
    assert [update.event.sequence for update in updates if update.event] == [1, 2, 3, 4]
    assert [update.ended for update in updates] == [None, None, None, job(4)]
    assert asked(service) == [0]
    assert service.requests("WatchJob")[0].job_id == "j"
    assert not service.requests("WatchJob")[0].HasField("heartbeat_interval")
    assert service.called("GetJob") == []


def test_without_a_sequence_a_snapshot_comes_first(client: Driver, service: FakeService) -> None:
    service.on("WatchJob", [snapshot(5), events(6, end=7)])
    updates = list(client.watch("j"))
    assert updates[0] == JobUpdate(5, snapshot=JobSnapshot(job=job(5, Job.STATE_RUNNING)))
    assert sequences(updates) == [5, 6, 7]
    assert asked(service) == [None]


@pytest.mark.parametrize("state", [Job.STATE_SUCCEEDED, Job.STATE_FAILED, Job.STATE_CANCELLED])
def test_a_snapshot_of_an_ended_job_is_the_end(
    client: Driver, service: FakeService, state: Job.State
) -> None:
    service.on("WatchJob", [snapshot(9, state)])
    (update,) = client.watch("j")
    assert update.ended == job(9, state)
    assert update.snapshot is not None


def test_a_broken_watch_resumes_from_the_last_sequence(
    client: Driver, service: FakeService
) -> None:
    service.on("WatchJob", [snapshot(5), events(6), UNAVAILABLE], [events(7, end=8)])
    assert watched(client) == [5, 6, 7, 8]
    assert asked(service) == [None, 6]


def test_repeats_are_dropped(client: Driver, service: FakeService) -> None:
    service.on("WatchJob", [events(1, 2), events(1, 2, 3), events(3), events(3, end=4)])
    assert watched(client, last_seen_sequence=0) == [1, 2, 3, 4]


def test_events_after_a_gap_are_not_returned(client: Driver, service: FakeService) -> None:
    service.on("WatchJob", [events(1, 2, 4), Silence()], [events(3, end=4)])
    assert watched(client, last_seen_sequence=0) == [1, 2, 3, 4]
    assert asked(service) == [0, 2]
    assert service.calls[0].cancelled()


def test_a_heartbeat_may_show_a_gap(client: Driver, service: FakeService) -> None:
    service.on("WatchJob", [events(1), heartbeat(2), Silence()], [events(end=2)])
    assert watched(client, last_seen_sequence=0) == [1, 2]
    assert asked(service) == [0, 1]
    assert service.calls[0].cancelled()


@pytest.mark.parametrize("at", [7, 2])
def test_a_snapshot_replaces_the_last_sequence_in_both_directions(
    client: Driver, service: FakeService, at: int
) -> None:
    first: list[Step] = [events(4), snapshot(at), events(at + 1), UNAVAILABLE]
    service.on("WatchJob", first, [events(end=at + 2)])
    assert watched(client, last_seen_sequence=3) == [4, at, at + 1, at + 2]
    assert asked(service) == [3, at + 1]


def test_unknown_payloads_are_ignored(client: Driver, service: FakeService) -> None:
    # Field 15, which the contract does not have, with an empty message.
    unknown = WatchJobResponse.FromString(b"\x7a\x00")
    service.on("WatchJob", [events(1), unknown, events(end=2)])
    assert watched(client, last_seen_sequence=0) == [1, 2]


def test_unknown_changes_count(client: Driver, service: FakeService) -> None:
    unknown = JobEvent.FromString(b"\x08\x02\x7a\x00")
    batch = WatchJobResponse(events=JobEventBatch(events=[unknown]))
    service.on("WatchJob", [events(1), batch, events(end=3)])
    updates = list(client.watch("j", last_seen_sequence=0))
    assert sequences(updates) == [1, 2, 3]
    assert updates[1].event == unknown


def test_an_end_without_the_end_of_the_job_is_checked(client: Driver, service: FakeService) -> None:
    service.on("WatchJob", [events(1)])
    service.on("GetJob", [GetJobResponse(job=job(4))])
    updates = list(client.watch("j", last_seen_sequence=0))
    assert updates[1] == JobUpdate(4, snapshot=JobSnapshot(job=job(4)), ended=job(4))
    assert len(updates) == 2
    assert service.requests("GetJob")[0].job_id == "j"


def test_a_watch_from_the_last_event_gives_the_ended_job(
    client: Driver, service: FakeService
) -> None:
    service.on("WatchJob", [])
    service.on("GetJob", [GetJobResponse(job=job(4))])
    (update,) = client.watch("j", last_seen_sequence=4)
    assert update.ended == job(4)


def test_an_end_with_an_active_job_is_a_break(client: Driver, service: FakeService) -> None:
    service.on("WatchJob", [events(1)], [events(end=2)])
    service.on("GetJob", [GetJobResponse(job=job(1, Job.STATE_RUNNING))])
    assert watched(client, last_seen_sequence=0) == [1, 2]
    assert asked(service) == [0, 1]


def test_a_job_that_cannot_be_read_is_a_break(client: Driver, service: FakeService) -> None:
    service.on("WatchJob", [events(1)], [events(end=2)])
    service.on("GetJob", [Refuse(grpc.StatusCode.INTERNAL)])
    assert watched(client, last_seen_sequence=0) == [1, 2]


def test_silence_is_a_break(client: Driver, service: FakeService) -> None:
    service.on("WatchJob", [events(1), Silence()], [events(end=2)])
    assert watched(client, last_seen_sequence=0, heartbeat_interval=SHORT) == [1, 2]
    assert asked(service) == [0, 1]
    assert service.calls[0].cancelled()
    interval = service.requests("WatchJob")[0].heartbeat_interval
    assert interval.ToTimedelta().total_seconds() == SHORT


def test_a_service_that_never_sends_anything_is_given_up(
    client: Driver, service: FakeService
) -> None:
    service.on("WatchJob", *[[Silence()]] * 6)
    with pytest.raises(ApiError, match="silent") as raised:
        watched(client, heartbeat_interval=SHORT)
    assert raised.value.code is grpc.StatusCode.UNAVAILABLE
    assert len(service.calls) == 5


def test_a_reader_may_take_its_time(client: Driver, service: FakeService) -> None:
    service.on("WatchJob", [events(1), events(end=2)])
    seen = []
    for update in client.watch("j", last_seen_sequence=0, heartbeat_interval=SHORT):
        seen.append(update.sequence)
        time.sleep(4 * SHORT)
    assert seen == [1, 2]
    assert len(service.calls) == 1


@pytest.mark.parametrize(("interval", "silence"), [(None, 45), (1e-3, 3), (7, 21), (1e10, 180)])
def test_silence_is_three_intervals_within_the_bounds_of_the_service(
    interval: float | None, silence: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    assert WatchCursor("j", None, interval).silence == silence


def test_the_service_refuses_an_interval_that_is_too_long(
    client: Driver, service: FakeService
) -> None:
    service.on("WatchJob", [Refuse(grpc.StatusCode.INVALID_ARGUMENT)])
    with pytest.raises(ApiError):
        watched(client, heartbeat_interval=1e10)
    assert service.requests("WatchJob")[0].heartbeat_interval.seconds == 10**10


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf"), 1e300, 1e12])
def test_a_heartbeat_interval_is_positive(client: Driver, interval: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        watched(client, heartbeat_interval=interval)


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
    ],
)
def test_some_errors_are_final(client: Driver, service: FakeService, code: grpc.StatusCode) -> None:
    service.on("WatchJob", [events(1), Refuse(code)])
    updates = client.watch("j", last_seen_sequence=0)
    assert next(updates).sequence == 1
    with pytest.raises(ApiError) as raised:
        next(updates)
    assert raised.value.code is code
    assert len(service.calls) == 1


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.OUT_OF_RANGE,
    ],
)
def test_other_errors_are_not(client: Driver, service: FakeService, code: grpc.StatusCode) -> None:
    service.on("WatchJob", [Refuse(code)], [events(1), Refuse(code)], [events(end=2)])
    assert watched(client, last_seen_sequence=0) == [1, 2]


def test_before_the_first_message_the_fifth_failure_is_the_error(
    client: Driver, service: FakeService
) -> None:
    service.on("WatchJob", *[[Refuse(grpc.StatusCode.INTERNAL, str(n))] for n in range(1, 7)])
    with pytest.raises(ApiError) as raised:
        watched(client)
    assert raised.value.message == "5"
    assert len(service.calls) == 5


def test_after_a_message_there_is_no_limit_to_failures(
    client: Driver, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipewright._backoff.LONGEST", 0.001)
    service.on("WatchJob", [heartbeat()], *[[UNAVAILABLE]] * 12, [events(end=1)])
    service.on("GetJob", [GetJobResponse(job=job(0, Job.STATE_RUNNING))])
    assert watched(client, last_seen_sequence=0) == [1]


def test_leaving_the_loop_cancels_the_call(client: Driver, service: FakeService) -> None:
    service.on("WatchJob", [events(1), Silence()])
    updates = client.watch("j", last_seen_sequence=0)
    assert next(updates).sequence == 1
    updates.close()
    assert service.calls[0].cancelled()


def test_a_watch_resumes_from_an_update_of_another(client: Driver, service: FakeService) -> None:
    service.on("WatchJob", [events(1, 2), Silence()], [events(3, end=4)])
    updates = client.watch("j", last_seen_sequence=0)
    next(updates)
    last = next(updates)
    updates.close()
    assert watched(client, last_seen_sequence=last.sequence) == [3, 4]


def test_a_restarted_service_is_reconnected(connect: Connect) -> None:
    first = FakeService()
    client = connect(first.address)
    first.on("WatchJob", [events(1), Silence()])
    updates = client.watch("j", last_seen_sequence=0)
    assert next(updates).sequence == 1
    first.stop()
    second = FakeService(port=first.port)
    try:
        second.on("WatchJob", [events(end=2)])
        assert sequences(list(updates)) == [2]
    finally:
        second.stop()
