"""The position of a reader in the log of a stage."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from ._resume import FINAL, broken
from .v1 import LogChunk, LogGap, ReadStageLogRequest, ReadStageLogResponse

LogPiece = LogChunk | LogGap
"""Bytes of a log with their offset, or a range of it that is not stored."""

_SILENCE = 3 * 15.0


class LogCursor:
    """Tracks the attempt, the offset of the next byte and the remaining limit."""

    final = FINAL | {grpc.StatusCode.OUT_OF_RANGE}
    silence = _SILENCE

    def __init__(self, request: ReadStageLogRequest) -> None:
        self.done = False
        self._request = request
        # For an offset that counts from the end, the first message has the position.
        self._expected = request.offset if request.offset >= 0 else None

    def request(self) -> ReadStageLogRequest:
        """A request for the next bytes."""
        request = ReadStageLogRequest()
        request.CopyFrom(self._request)
        if self._expected is not None:
            request.offset = self._expected
        return request

    def accept(self, message: ReadStageLogResponse) -> Iterator[LogPiece]:
        """The new part of the piece in a message."""
        self._request.attempt = message.attempt
        match message.WhichOneof("payload"):
            case "chunk":
                chunk = message.chunk
                had = self._move(chunk.offset, chunk.offset + len(chunk.data))
                data = chunk.data[had:]
                if data:
                    self._count(len(data))
                    yield LogChunk(offset=chunk.offset + had, data=data)
            case "gap":
                gap = message.gap
                start = gap.start_offset + self._move(gap.start_offset, gap.end_offset)
                if start < gap.end_offset:
                    yield LogGap(start_offset=start, end_offset=gap.end_offset, reason=gap.reason)
            case _:
                self._expected = max(self._expected or 0, message.next_offset)
                self.done = message.HasField("end")

    def conclude(self) -> None:
        """Called when the stream has ended with OK.

        Raises ApiError if it follows the stage, and the end of the log was not sent.
        """
        if self._request.follow and self._request.limit_bytes == 0:
            raise broken("the log ended before its stage")
        self.done = True

    def _move(self, start: int, end: int) -> int:
        """Moves to the end of a range; returns how much of it was read already."""
        expected = start if self._expected is None else self._expected
        if start > expected:
            raise broken("bytes of the log are missing")
        self._expected = max(expected, end)
        return expected - start

    def _count(self, size: int) -> None:
        """Subtracts bytes from the limit; a limit of 0 would mean no limit."""
        if self._request.limit_bytes > 0:
            self._request.limit_bytes = max(self._request.limit_bytes - size, 0)
            self.done = self._request.limit_bytes == 0
