import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from pipewright.v1 import pipeline_pb2 as _pipeline_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Job(_message.Message):
    __slots__ = ("id", "pipeline_id", "pipeline_revision", "project", "state", "progress_percent", "stage_runs", "git_ref", "commit_id", "trigger", "retried_job_id", "failure", "variables", "priority", "create_time", "start_time", "end_time", "last_sequence", "cancellation", "pipeline_name", "number", "secret_variable_names")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Job.State]
        STATE_QUEUED: _ClassVar[Job.State]
        STATE_RUNNING: _ClassVar[Job.State]
        STATE_CANCELLING: _ClassVar[Job.State]
        STATE_SUCCEEDED: _ClassVar[Job.State]
        STATE_FAILED: _ClassVar[Job.State]
        STATE_CANCELLED: _ClassVar[Job.State]
    STATE_UNSPECIFIED: Job.State
    STATE_QUEUED: Job.State
    STATE_RUNNING: Job.State
    STATE_CANCELLING: Job.State
    STATE_SUCCEEDED: Job.State
    STATE_FAILED: Job.State
    STATE_CANCELLED: Job.State
    class VariablesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_ID_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_REVISION_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    STAGE_RUNS_FIELD_NUMBER: _ClassVar[int]
    GIT_REF_FIELD_NUMBER: _ClassVar[int]
    COMMIT_ID_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    RETRIED_JOB_ID_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CANCELLATION_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SECRET_VARIABLE_NAMES_FIELD_NUMBER: _ClassVar[int]
    id: str
    pipeline_id: str
    pipeline_revision: int
    project: str
    state: Job.State
    progress_percent: int
    stage_runs: _containers.RepeatedCompositeFieldContainer[StageRun]
    git_ref: str
    commit_id: str
    trigger: Trigger
    retried_job_id: str
    failure: Failure
    variables: _containers.ScalarMap[str, str]
    priority: int
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    last_sequence: int
    cancellation: Cancellation
    pipeline_name: str
    number: int
    secret_variable_names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., pipeline_id: _Optional[str] = ..., pipeline_revision: _Optional[int] = ..., project: _Optional[str] = ..., state: _Optional[_Union[Job.State, str]] = ..., progress_percent: _Optional[int] = ..., stage_runs: _Optional[_Iterable[_Union[StageRun, _Mapping]]] = ..., git_ref: _Optional[str] = ..., commit_id: _Optional[str] = ..., trigger: _Optional[_Union[Trigger, _Mapping]] = ..., retried_job_id: _Optional[str] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., variables: _Optional[_Mapping[str, str]] = ..., priority: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_sequence: _Optional[int] = ..., cancellation: _Optional[_Union[Cancellation, _Mapping]] = ..., pipeline_name: _Optional[str] = ..., number: _Optional[int] = ..., secret_variable_names: _Optional[_Iterable[str]] = ...) -> None: ...

class Cancellation(_message.Message):
    __slots__ = ("cause", "reason", "principal", "superseding_job_id")
    class Cause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CAUSE_UNSPECIFIED: _ClassVar[Cancellation.Cause]
        CAUSE_REQUESTED: _ClassVar[Cancellation.Cause]
        CAUSE_SUPERSEDED: _ClassVar[Cancellation.Cause]
        CAUSE_PIPELINE_DELETED: _ClassVar[Cancellation.Cause]
        CAUSE_SERVER_STOPPED: _ClassVar[Cancellation.Cause]
    CAUSE_UNSPECIFIED: Cancellation.Cause
    CAUSE_REQUESTED: Cancellation.Cause
    CAUSE_SUPERSEDED: Cancellation.Cause
    CAUSE_PIPELINE_DELETED: Cancellation.Cause
    CAUSE_SERVER_STOPPED: Cancellation.Cause
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    SUPERSEDING_JOB_ID_FIELD_NUMBER: _ClassVar[int]
    cause: Cancellation.Cause
    reason: str
    principal: str
    superseding_job_id: str
    def __init__(self, cause: _Optional[_Union[Cancellation.Cause, str]] = ..., reason: _Optional[str] = ..., principal: _Optional[str] = ..., superseding_job_id: _Optional[str] = ...) -> None: ...

class Trigger(_message.Message):
    __slots__ = ("source", "principal")
    class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SOURCE_UNSPECIFIED: _ClassVar[Trigger.Source]
        SOURCE_API: _ClassVar[Trigger.Source]
        SOURCE_RETRY: _ClassVar[Trigger.Source]
        SOURCE_WEBHOOK: _ClassVar[Trigger.Source]
        SOURCE_SCHEDULE: _ClassVar[Trigger.Source]
    SOURCE_UNSPECIFIED: Trigger.Source
    SOURCE_API: Trigger.Source
    SOURCE_RETRY: Trigger.Source
    SOURCE_WEBHOOK: Trigger.Source
    SOURCE_SCHEDULE: Trigger.Source
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    source: Trigger.Source
    principal: str
    def __init__(self, source: _Optional[_Union[Trigger.Source, str]] = ..., principal: _Optional[str] = ...) -> None: ...

class StageRun(_message.Message):
    __slots__ = ("stage_name", "attempt", "type", "state", "progress_percent", "exit_code", "failure", "pending_reason", "skip_reason", "runner_id", "log_size_bytes", "start_time", "end_time", "carried_from_job_id", "log_loss")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[StageRun.State]
        STATE_PENDING: _ClassVar[StageRun.State]
        STATE_QUEUED: _ClassVar[StageRun.State]
        STATE_RUNNING: _ClassVar[StageRun.State]
        STATE_SUCCEEDED: _ClassVar[StageRun.State]
        STATE_FAILED: _ClassVar[StageRun.State]
        STATE_CANCELLED: _ClassVar[StageRun.State]
        STATE_SKIPPED: _ClassVar[StageRun.State]
    STATE_UNSPECIFIED: StageRun.State
    STATE_PENDING: StageRun.State
    STATE_QUEUED: StageRun.State
    STATE_RUNNING: StageRun.State
    STATE_SUCCEEDED: StageRun.State
    STATE_FAILED: StageRun.State
    STATE_CANCELLED: StageRun.State
    STATE_SKIPPED: StageRun.State
    class PendingReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PENDING_REASON_UNSPECIFIED: _ClassVar[StageRun.PendingReason]
        PENDING_REASON_NEEDS: _ClassVar[StageRun.PendingReason]
        PENDING_REASON_CONCURRENCY: _ClassVar[StageRun.PendingReason]
        PENDING_REASON_NO_MATCHING_RUNNER: _ClassVar[StageRun.PendingReason]
        PENDING_REASON_RUNNERS_BUSY: _ClassVar[StageRun.PendingReason]
        PENDING_REASON_NO_CAPABLE_RUNNER: _ClassVar[StageRun.PendingReason]
    PENDING_REASON_UNSPECIFIED: StageRun.PendingReason
    PENDING_REASON_NEEDS: StageRun.PendingReason
    PENDING_REASON_CONCURRENCY: StageRun.PendingReason
    PENDING_REASON_NO_MATCHING_RUNNER: StageRun.PendingReason
    PENDING_REASON_RUNNERS_BUSY: StageRun.PendingReason
    PENDING_REASON_NO_CAPABLE_RUNNER: StageRun.PendingReason
    class SkipReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SKIP_REASON_UNSPECIFIED: _ClassVar[StageRun.SkipReason]
        SKIP_REASON_NEEDS_FAILED: _ClassVar[StageRun.SkipReason]
        SKIP_REASON_CONDITION: _ClassVar[StageRun.SkipReason]
        SKIP_REASON_CANCELLED: _ClassVar[StageRun.SkipReason]
    SKIP_REASON_UNSPECIFIED: StageRun.SkipReason
    SKIP_REASON_NEEDS_FAILED: StageRun.SkipReason
    SKIP_REASON_CONDITION: StageRun.SkipReason
    SKIP_REASON_CANCELLED: StageRun.SkipReason
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PENDING_REASON_FIELD_NUMBER: _ClassVar[int]
    SKIP_REASON_FIELD_NUMBER: _ClassVar[int]
    RUNNER_ID_FIELD_NUMBER: _ClassVar[int]
    LOG_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    CARRIED_FROM_JOB_ID_FIELD_NUMBER: _ClassVar[int]
    LOG_LOSS_FIELD_NUMBER: _ClassVar[int]
    stage_name: str
    attempt: int
    type: _pipeline_pb2.Stage.Type
    state: StageRun.State
    progress_percent: int
    exit_code: int
    failure: Failure
    pending_reason: StageRun.PendingReason
    skip_reason: StageRun.SkipReason
    runner_id: str
    log_size_bytes: int
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    carried_from_job_id: str
    log_loss: LogLoss
    def __init__(self, stage_name: _Optional[str] = ..., attempt: _Optional[int] = ..., type: _Optional[_Union[_pipeline_pb2.Stage.Type, str]] = ..., state: _Optional[_Union[StageRun.State, str]] = ..., progress_percent: _Optional[int] = ..., exit_code: _Optional[int] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., pending_reason: _Optional[_Union[StageRun.PendingReason, str]] = ..., skip_reason: _Optional[_Union[StageRun.SkipReason, str]] = ..., runner_id: _Optional[str] = ..., log_size_bytes: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., carried_from_job_id: _Optional[str] = ..., log_loss: _Optional[_Union[LogLoss, _Mapping]] = ...) -> None: ...

class LogLoss(_message.Message):
    __slots__ = ("size_limit_bytes", "runner_dropped_bytes", "not_stored_bytes")
    SIZE_LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    RUNNER_DROPPED_BYTES_FIELD_NUMBER: _ClassVar[int]
    NOT_STORED_BYTES_FIELD_NUMBER: _ClassVar[int]
    size_limit_bytes: int
    runner_dropped_bytes: int
    not_stored_bytes: int
    def __init__(self, size_limit_bytes: _Optional[int] = ..., runner_dropped_bytes: _Optional[int] = ..., not_stored_bytes: _Optional[int] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("reason", "message", "stage_name")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Failure.Reason]
        REASON_COMMAND_FAILED: _ClassVar[Failure.Reason]
        REASON_TIMED_OUT: _ClassVar[Failure.Reason]
        REASON_CHECKOUT_FAILED: _ClassVar[Failure.Reason]
        REASON_RUNNER_LOST: _ClassVar[Failure.Reason]
        REASON_RUNNER_ERROR: _ClassVar[Failure.Reason]
    REASON_UNSPECIFIED: Failure.Reason
    REASON_COMMAND_FAILED: Failure.Reason
    REASON_TIMED_OUT: Failure.Reason
    REASON_CHECKOUT_FAILED: Failure.Reason
    REASON_RUNNER_LOST: Failure.Reason
    REASON_RUNNER_ERROR: Failure.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    reason: Failure.Reason
    message: str
    stage_name: str
    def __init__(self, reason: _Optional[_Union[Failure.Reason, str]] = ..., message: _Optional[str] = ..., stage_name: _Optional[str] = ...) -> None: ...
