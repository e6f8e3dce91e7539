"""The position of a watch in the list of a job's events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from ._resume import FINAL, broken
from .v1 import Job, JobEvent, JobSnapshot, WatchJobRequest, WatchJobResponse

_HEARTBEAT = 15.0
_SHORTEST_HEARTBEAT = 1.0
_LONGEST_HEARTBEAT = 60.0
_MISSED_HEARTBEATS = 3
# The maximum of a Duration, ten thousand years.
_MOST_SECONDS = 315_576_000_000
_TERMINAL = frozenset({Job.STATE_SUCCEEDED, Job.STATE_FAILED, Job.STATE_CANCELLED})


@dataclass(frozen=True)
class JobUpdate:
    """A change of a job: an event, or a snapshot that replaces the known state."""

    sequence: int
    """The position after the update; as `last_seen_sequence` it resumes a watch from here."""
    event: JobEvent | None = None
    """The change, unless the update is a snapshot."""
    snapshot: JobSnapshot | None = None
    """The whole job, unless the update is an event."""
    ended: Job | None = None
    """The final job, in the last update."""


class WatchCursor:
    """Tracks the last sequence that was returned."""

    final = FINAL

    def __init__(
        self, job_id: str, last_seen_sequence: int | None, heartbeat_interval: float | None
    ) -> None:
        if heartbeat_interval is not None and not 0 < heartbeat_interval <= _MOST_SECONDS:
            raise ValueError("a heartbeat interval is positive, and no more than a Duration")
        self.done = False
        self._job_id = job_id
        self._last = last_seen_sequence
        self._heartbeat = heartbeat_interval

    @property
    def silence(self) -> float:
        """Seconds after which heartbeats have been missed.

        An interval outside of the service's bounds is clamped until the service refuses it.
        """
        interval = min(max(self._heartbeat or _HEARTBEAT, _SHORTEST_HEARTBEAT), _LONGEST_HEARTBEAT)
        return _MISSED_HEARTBEATS * interval

    def request(self) -> WatchJobRequest:
        """A request for what follows the last sequence."""
        interval = timedelta(seconds=self._heartbeat) if self._heartbeat else None
        return WatchJobRequest(
            job_id=self._job_id, last_seen_sequence=self._last, heartbeat_interval=interval
        )

    def accept(self, message: WatchJobResponse) -> Iterator[JobUpdate]:
        """The updates of a message; none for an unknown payload."""
        match message.WhichOneof("payload"):
            case "snapshot":
                yield self._replace(message.snapshot)
            case "events":
                yield from self._advance(message.events.events)
            case "heartbeat" if self._is_behind(message.heartbeat.last_sequence):
                raise broken("events are missing before a heartbeat")

    def conclude(self, job: Job) -> JobUpdate:
        """The last update of a stream that ended before its job was seen to end.

        Raises ApiError if the job, which is read after that, has not ended.
        """
        if job.state not in _TERMINAL:
            raise broken("the watch ended before the job")
        return self._replace(JobSnapshot(job=job))

    def _advance(self, events: Iterable[JobEvent]) -> Iterator[JobUpdate]:
        for event in events:
            if self._last is not None and event.sequence <= self._last:
                continue
            if self._is_behind(event.sequence - 1):
                raise broken("events are missing")
            self._last = event.sequence
            self.done = event.HasField("job_ended")
            ended = event.job_ended.job if self.done else None
            yield JobUpdate(self._last, event=event, ended=ended)
            if self.done:
                return

    def _replace(self, snapshot: JobSnapshot) -> JobUpdate:
        job = snapshot.job
        self._last = job.last_sequence
        self.done = job.state in _TERMINAL
        return JobUpdate(self._last, snapshot=snapshot, ended=job if self.done else None)

    def _is_behind(self, sequence: int) -> bool:
        """Whether something up to this sequence is still to come."""
        return self._last is not None and self._last < sequence
