import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from pipewright.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class GetJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "project", "pipeline_id", "states")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_ID_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    project: str
    pipeline_id: str
    states: _containers.RepeatedScalarFieldContainer[_job_pb2.Job.State]
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., project: _Optional[str] = ..., pipeline_id: _Optional[str] = ..., states: _Optional[_Iterable[_Union[_job_pb2.Job.State, str]]] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[_job_pb2.Job]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[_job_pb2.Job, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("job_id", "last_seen_sequence", "heartbeat_interval")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    last_seen_sequence: int
    heartbeat_interval: _duration_pb2.Duration
    def __init__(self, job_id: _Optional[str] = ..., last_seen_sequence: _Optional[int] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchJobResponse(_message.Message):
    __slots__ = ("snapshot", "events", "heartbeat")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    snapshot: JobSnapshot
    events: JobEventBatch
    heartbeat: JobHeartbeat
    def __init__(self, snapshot: _Optional[_Union[JobSnapshot, _Mapping]] = ..., events: _Optional[_Union[JobEventBatch, _Mapping]] = ..., heartbeat: _Optional[_Union[JobHeartbeat, _Mapping]] = ...) -> None: ...

class JobSnapshot(_message.Message):
    __slots__ = ("job", "reason")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[JobSnapshot.Reason]
        REASON_INITIAL: _ClassVar[JobSnapshot.Reason]
        REASON_HISTORY_TRIMMED: _ClassVar[JobSnapshot.Reason]
        REASON_SEQUENCE_AHEAD: _ClassVar[JobSnapshot.Reason]
    REASON_UNSPECIFIED: JobSnapshot.Reason
    REASON_INITIAL: JobSnapshot.Reason
    REASON_HISTORY_TRIMMED: JobSnapshot.Reason
    REASON_SEQUENCE_AHEAD: JobSnapshot.Reason
    JOB_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    reason: JobSnapshot.Reason
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ..., reason: _Optional[_Union[JobSnapshot.Reason, str]] = ...) -> None: ...

class JobEventBatch(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[JobEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[JobEvent, _Mapping]]] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("sequence", "time", "progress_percent", "job_created", "job_changed", "stage_run_changed", "stage_progressed", "job_ended")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    JOB_CREATED_FIELD_NUMBER: _ClassVar[int]
    JOB_CHANGED_FIELD_NUMBER: _ClassVar[int]
    STAGE_RUN_CHANGED_FIELD_NUMBER: _ClassVar[int]
    STAGE_PROGRESSED_FIELD_NUMBER: _ClassVar[int]
    JOB_ENDED_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    time: _timestamp_pb2.Timestamp
    progress_percent: int
    job_created: JobCreated
    job_changed: JobChanged
    stage_run_changed: StageRunChanged
    stage_progressed: StageProgressed
    job_ended: JobEnded
    def __init__(self, sequence: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., progress_percent: _Optional[int] = ..., job_created: _Optional[_Union[JobCreated, _Mapping]] = ..., job_changed: _Optional[_Union[JobChanged, _Mapping]] = ..., stage_run_changed: _Optional[_Union[StageRunChanged, _Mapping]] = ..., stage_progressed: _Optional[_Union[StageProgressed, _Mapping]] = ..., job_ended: _Optional[_Union[JobEnded, _Mapping]] = ...) -> None: ...

class JobCreated(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ...) -> None: ...

class JobChanged(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ...) -> None: ...

class StageRunChanged(_message.Message):
    __slots__ = ("stage_run",)
    STAGE_RUN_FIELD_NUMBER: _ClassVar[int]
    stage_run: _job_pb2.StageRun
    def __init__(self, stage_run: _Optional[_Union[_job_pb2.StageRun, _Mapping]] = ...) -> None: ...

class StageProgressed(_message.Message):
    __slots__ = ("stage_name", "attempt", "progress_percent")
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    stage_name: str
    attempt: int
    progress_percent: int
    def __init__(self, stage_name: _Optional[str] = ..., attempt: _Optional[int] = ..., progress_percent: _Optional[int] = ...) -> None: ...

class JobEnded(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ...) -> None: ...

class JobHeartbeat(_message.Message):
    __slots__ = ("last_sequence",)
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    last_sequence: int
    def __init__(self, last_sequence: _Optional[int] = ...) -> None: ...

class ReadStageLogRequest(_message.Message):
    __slots__ = ("job_id", "stage_name", "attempt", "offset", "limit_bytes", "follow")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    stage_name: str
    attempt: int
    offset: int
    limit_bytes: int
    follow: bool
    def __init__(self, job_id: _Optional[str] = ..., stage_name: _Optional[str] = ..., attempt: _Optional[int] = ..., offset: _Optional[int] = ..., limit_bytes: _Optional[int] = ..., follow: _Optional[bool] = ...) -> None: ...

class ReadStageLogResponse(_message.Message):
    __slots__ = ("next_offset", "chunk", "gap", "heartbeat", "end", "attempt")
    NEXT_OFFSET_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    next_offset: int
    chunk: LogChunk
    gap: LogGap
    heartbeat: LogHeartbeat
    end: LogEnd
    attempt: int
    def __init__(self, next_offset: _Optional[int] = ..., chunk: _Optional[_Union[LogChunk, _Mapping]] = ..., gap: _Optional[_Union[LogGap, _Mapping]] = ..., heartbeat: _Optional[_Union[LogHeartbeat, _Mapping]] = ..., end: _Optional[_Union[LogEnd, _Mapping]] = ..., attempt: _Optional[int] = ...) -> None: ...

class LogChunk(_message.Message):
    __slots__ = ("offset", "data")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    offset: int
    data: bytes
    def __init__(self, offset: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class LogGap(_message.Message):
    __slots__ = ("start_offset", "end_offset", "reason")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[LogGap.Reason]
        REASON_SIZE_LIMIT: _ClassVar[LogGap.Reason]
        REASON_EXPIRED: _ClassVar[LogGap.Reason]
        REASON_RUNNER_LOST: _ClassVar[LogGap.Reason]
        REASON_RUNNER_DROPPED: _ClassVar[LogGap.Reason]
        REASON_NOT_STORED: _ClassVar[LogGap.Reason]
    REASON_UNSPECIFIED: LogGap.Reason
    REASON_SIZE_LIMIT: LogGap.Reason
    REASON_EXPIRED: LogGap.Reason
    REASON_RUNNER_LOST: LogGap.Reason
    REASON_RUNNER_DROPPED: LogGap.Reason
    REASON_NOT_STORED: LogGap.Reason
    START_OFFSET_FIELD_NUMBER: _ClassVar[int]
    END_OFFSET_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    start_offset: int
    end_offset: int
    reason: LogGap.Reason
    def __init__(self, start_offset: _Optional[int] = ..., end_offset: _Optional[int] = ..., reason: _Optional[_Union[LogGap.Reason, str]] = ...) -> None: ...

class LogHeartbeat(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LogEnd(_message.Message):
    __slots__ = ("size_bytes",)
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    size_bytes: int
    def __init__(self, size_bytes: _Optional[int] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("job_id", "reason")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    reason: str
    def __init__(self, job_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class CancelJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ...) -> None: ...

class RetryJobRequest(_message.Message):
    __slots__ = ("job_id", "scope", "request_id")
    class Scope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SCOPE_UNSPECIFIED: _ClassVar[RetryJobRequest.Scope]
        SCOPE_ALL_STAGES: _ClassVar[RetryJobRequest.Scope]
        SCOPE_FAILED_STAGES: _ClassVar[RetryJobRequest.Scope]
    SCOPE_UNSPECIFIED: RetryJobRequest.Scope
    SCOPE_ALL_STAGES: RetryJobRequest.Scope
    SCOPE_FAILED_STAGES: RetryJobRequest.Scope
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    scope: RetryJobRequest.Scope
    request_id: str
    def __init__(self, job_id: _Optional[str] = ..., scope: _Optional[_Union[RetryJobRequest.Scope, str]] = ..., request_id: _Optional[str] = ...) -> None: ...

class RetryJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ...) -> None: ...
