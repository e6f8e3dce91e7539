from __future__ import annotations

from typing import Any

import grpc
import pytest

from drivers import Driver
from fake_service import FakeService, Garbage, Refuse, Silence, Step
from pipewright import ApiError, LogPiece
from pipewright._log import LogCursor
from pipewright.v1 import (
    LogChunk,
    LogEnd,
    LogGap,
    LogHeartbeat,
    ReadStageLogRequest,
    ReadStageLogResponse,
)

UNAVAILABLE = Refuse(grpc.StatusCode.UNAVAILABLE)


def chunk(offset: int, data: bytes, attempt: int = 1) -> ReadStageLogResponse:
    return ReadStageLogResponse(
        next_offset=offset + len(data), chunk=LogChunk(offset=offset, data=data), attempt=attempt
    )


def gap(start: int, end: int) -> ReadStageLogResponse:
    missing = LogGap(start_offset=start, end_offset=end, reason=LogGap.REASON_SIZE_LIMIT)
    return ReadStageLogResponse(next_offset=end, gap=missing, attempt=1)


def heartbeat(offset: int) -> ReadStageLogResponse:
    return ReadStageLogResponse(next_offset=offset, heartbeat=LogHeartbeat(), attempt=1)


def end(offset: int) -> ReadStageLogResponse:
    return ReadStageLogResponse(next_offset=offset, end=LogEnd(size_bytes=offset), attempt=1)


def read(client: Driver, **options: Any) -> list[tuple[int, bytes | int]]:
    """Each piece as its offset, and its bytes or where its gap ends."""
    return [_plain(piece) for piece in client.read("j", "s", **options)]


def _plain(piece: LogPiece) -> tuple[int, bytes | int]:
    if isinstance(piece, LogChunk):
        return piece.offset, piece.data
    assert piece.reason == LogGap.REASON_SIZE_LIMIT
    return piece.start_offset, piece.end_offset


def test_an_invalid_message_is_read_again(client: Driver, service: FakeService) -> None:
    service.on("ReadStageLog", [chunk(0, b"ab"), Garbage()], [chunk(2, b"cd"), end(4)])
    assert read(client) == [(0, b"ab"), (2, b"cd")]
    assert [request.offset for request in service.requests("ReadStageLog")] == [0, 2]


def test_pieces_come_until_the_stream_ends(client: Driver, service: FakeService) -> None:
    script = [chunk(0, b"ab"), heartbeat(2), gap(2, 9), chunk(9, b"\xff"), end(10)]
    service.on("ReadStageLog", script)
    assert read(client) == [(0, b"ab"), (2, 9), (9, b"\xff")]
    assert service.requests("ReadStageLog") == [ReadStageLogRequest(job_id="j", stage_name="s")]


def test_the_end_of_the_stream_is_enough(client: Driver, service: FakeService) -> None:
    service.on("ReadStageLog", [chunk(0, b"ab")])
    assert read(client) == [(0, b"ab")]
    assert len(service.calls) == 1


def test_the_request_has_the_options_of_the_caller(client: Driver, service: FakeService) -> None:
    service.on("ReadStageLog", [])
    wanted: dict[str, Any] = {"attempt": 2, "offset": 7, "limit_bytes": 9, "follow": True}
    assert read(client, **wanted) == []
    asked = ReadStageLogRequest(job_id="j", stage_name="s", **wanted)
    assert service.requests("ReadStageLog") == [asked]


def test_a_broken_log_resumes_by_attempt_and_offset(client: Driver, service: FakeService) -> None:
    service.on("ReadStageLog", [chunk(0, b"ab", 3), UNAVAILABLE], [chunk(2, b"c", 3), end(3)])
    assert read(client, follow=True) == [(0, b"ab"), (2, b"c")]
    again = service.requests("ReadStageLog")[1]
    assert (again.attempt, again.offset, again.follow) == (3, 2, True)


def test_an_offset_from_the_end_is_resolved(client: Driver, service: FakeService) -> None:
    service.on("ReadStageLog", [UNAVAILABLE], [chunk(95, b"a"), UNAVAILABLE], [chunk(96, b"b")])
    assert read(client, offset=-5) == [(95, b"a"), (96, b"b")]
    assert [request.offset for request in service.requests("ReadStageLog")] == [-5, -5, 96]


def test_a_heartbeat_says_where_to_resume(client: Driver, service: FakeService) -> None:
    service.on("ReadStageLog", [heartbeat(100), UNAVAILABLE], [chunk(100, b"a"), end(101)])
    assert read(client, offset=-5, follow=True) == [(100, b"a")]
    assert service.requests("ReadStageLog")[1].offset == 100


def test_repeated_bytes_are_trimmed(client: Driver, service: FakeService) -> None:
    script = [chunk(0, b"abcd"), chunk(0, b"ab"), heartbeat(2), chunk(2, b"cdef"), gap(1, 4)]
    service.on("ReadStageLog", [*script, gap(4, 9), chunk(9, b"g"), UNAVAILABLE], [end(10)])
    assert read(client) == [(0, b"abcd"), (4, b"ef"), (6, 9), (9, b"g")]
    assert service.requests("ReadStageLog")[1].offset == 10


@pytest.mark.parametrize("further", [chunk(3, b"d"), gap(3, 4)], ids=["chunk", "gap"])
def test_bytes_after_a_gap_are_not_returned(
    client: Driver, service: FakeService, further: ReadStageLogResponse
) -> None:
    service.on("ReadStageLog", [chunk(0, b"ab"), further, Silence()], [chunk(2, b"cd")])
    assert read(client) == [(0, b"ab"), (2, b"cd")]
    assert service.requests("ReadStageLog")[1].offset == 2
    assert service.calls[0].cancelled()


def test_unknown_payloads_are_ignored(client: Driver, service: FakeService) -> None:
    # Field 15, which the contract does not have, with an empty message.
    unknown = ReadStageLogResponse.FromString(b"\x08\x05\x30\x01\x7a\x00")
    service.on("ReadStageLog", [chunk(0, b"ab"), unknown, chunk(5, b"f")])
    assert read(client) == [(0, b"ab"), (5, b"f")]


def test_only_bytes_count_towards_the_limit(client: Driver, service: FakeService) -> None:
    first: list[Step] = [chunk(0, b"ab"), gap(2, 50), heartbeat(50), chunk(50, b"c"), UNAVAILABLE]
    service.on("ReadStageLog", first, [chunk(50, b"cdefg")])
    assert read(client, limit_bytes=7) == [(0, b"ab"), (2, 50), (50, b"c"), (51, b"defg")]
    again = service.requests("ReadStageLog")[1]
    assert (again.offset, again.limit_bytes) == (51, 4)


def test_nothing_is_asked_for_when_nothing_is_left(client: Driver, service: FakeService) -> None:
    service.on("ReadStageLog", [chunk(0, b"abc"), UNAVAILABLE])
    assert read(client, limit_bytes=3) == [(0, b"abc")]
    assert len(service.calls) == 1


def test_a_followed_log_continues_until_its_stage_is_over(
    client: Driver, service: FakeService
) -> None:
    service.on("ReadStageLog", [chunk(0, b"ab")], [chunk(2, b"c"), end(3)])
    assert read(client, follow=True) == [(0, b"ab"), (2, b"c")]
    assert service.requests("ReadStageLog")[1].offset == 2


def test_silence_is_45_seconds() -> None:
    assert LogCursor(ReadStageLogRequest()).silence == 45


def test_silence_is_a_break(
    client: Driver, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipewright._log.LogCursor.silence", 0.3)
    service.on("ReadStageLog", [chunk(0, b"a"), Silence()], [chunk(1, b"b")])
    assert read(client) == [(0, b"a"), (1, b"b")]
    assert service.calls[0].cancelled()


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.OUT_OF_RANGE,
    ],
)
def test_some_errors_are_final(client: Driver, service: FakeService, code: grpc.StatusCode) -> None:
    service.on("ReadStageLog", [chunk(0, b"a"), Refuse(code)])
    with pytest.raises(ApiError) as raised:
        read(client)
    assert raised.value.code is code
    assert len(service.calls) == 1


def test_before_the_first_message_the_fifth_failure_is_the_error(
    client: Driver, service: FakeService
) -> None:
    service.on("ReadStageLog", *[[UNAVAILABLE]] * 6)
    with pytest.raises(ApiError):
        read(client)
    assert len(service.calls) == 5


def test_leaving_the_loop_cancels_the_call(client: Driver, service: FakeService) -> None:
    service.on("ReadStageLog", [chunk(0, b"a"), Silence()])
    pieces = client.read("j", "s", follow=True)
    next(pieces)
    pieces.close()
    assert service.calls[0].cancelled()
