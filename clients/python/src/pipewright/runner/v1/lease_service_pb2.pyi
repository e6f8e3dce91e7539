import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Directive(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIRECTIVE_UNSPECIFIED: _ClassVar[Directive]
    DIRECTIVE_CONTINUE: _ClassVar[Directive]
    DIRECTIVE_CANCEL: _ClassVar[Directive]

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_SUCCEEDED: _ClassVar[Outcome]
    OUTCOME_COMMAND_FAILED: _ClassVar[Outcome]
    OUTCOME_TIMED_OUT: _ClassVar[Outcome]
    OUTCOME_CANCELLED: _ClassVar[Outcome]
    OUTCOME_CHECKOUT_FAILED: _ClassVar[Outcome]
    OUTCOME_RUNNER_ERROR: _ClassVar[Outcome]
    OUTCOME_RETURNED: _ClassVar[Outcome]
DIRECTIVE_UNSPECIFIED: Directive
DIRECTIVE_CONTINUE: Directive
DIRECTIVE_CANCEL: Directive
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_SUCCEEDED: Outcome
OUTCOME_COMMAND_FAILED: Outcome
OUTCOME_TIMED_OUT: Outcome
OUTCOME_CANCELLED: Outcome
OUTCOME_CHECKOUT_FAILED: Outcome
OUTCOME_RUNNER_ERROR: Outcome
OUTCOME_RETURNED: Outcome

class RegisterRunnerRequest(_message.Message):
    __slots__ = ("display_name", "labels", "capacity", "version", "session_id", "runner_id", "actions")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    RUNNER_ID_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    display_name: str
    labels: _containers.ScalarMap[str, str]
    capacity: int
    version: str
    session_id: str
    runner_id: str
    actions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, display_name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., capacity: _Optional[int] = ..., version: _Optional[str] = ..., session_id: _Optional[str] = ..., runner_id: _Optional[str] = ..., actions: _Optional[_Iterable[str]] = ...) -> None: ...

class RegisterRunnerResponse(_message.Message):
    __slots__ = ("runner_id", "lease_ttl", "max_log_chunk_bytes")
    RUNNER_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_TTL_FIELD_NUMBER: _ClassVar[int]
    MAX_LOG_CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    runner_id: str
    lease_ttl: _duration_pb2.Duration
    max_log_chunk_bytes: int
    def __init__(self, runner_id: _Optional[str] = ..., lease_ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_log_chunk_bytes: _Optional[int] = ...) -> None: ...

class AcquireLeaseRequest(_message.Message):
    __slots__ = ("runner_id", "session_id", "request_id", "max_wait", "held_job_ids", "leaving")
    RUNNER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_WAIT_FIELD_NUMBER: _ClassVar[int]
    HELD_JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    LEAVING_FIELD_NUMBER: _ClassVar[int]
    runner_id: str
    session_id: str
    request_id: str
    max_wait: _duration_pb2.Duration
    held_job_ids: _containers.RepeatedScalarFieldContainer[str]
    leaving: bool
    def __init__(self, runner_id: _Optional[str] = ..., session_id: _Optional[str] = ..., request_id: _Optional[str] = ..., max_wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., held_job_ids: _Optional[_Iterable[str]] = ..., leaving: _Optional[bool] = ...) -> None: ...

class AcquireLeaseResponse(_message.Message):
    __slots__ = ("lease", "ended_job_ids")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    ENDED_JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    ended_job_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., ended_job_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("id", "fencing_token", "ttl", "work")
    ID_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    WORK_FIELD_NUMBER: _ClassVar[int]
    id: str
    fencing_token: int
    ttl: _duration_pb2.Duration
    work: StageWork
    def __init__(self, id: _Optional[str] = ..., fencing_token: _Optional[int] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., work: _Optional[_Union[StageWork, _Mapping]] = ...) -> None: ...

class StageWork(_message.Message):
    __slots__ = ("job_id", "stage_name", "attempt", "command", "timeout", "git_repository", "git_ref", "commit_id", "variables", "working_directory", "kill_grace", "workspace_exists", "secret_variables")
    class VariablesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class SecretVariablesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    GIT_REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    GIT_REF_FIELD_NUMBER: _ClassVar[int]
    COMMIT_ID_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    WORKING_DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    KILL_GRACE_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_EXISTS_FIELD_NUMBER: _ClassVar[int]
    SECRET_VARIABLES_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    stage_name: str
    attempt: int
    command: str
    timeout: _duration_pb2.Duration
    git_repository: str
    git_ref: str
    commit_id: str
    variables: _containers.ScalarMap[str, str]
    working_directory: str
    kill_grace: _duration_pb2.Duration
    workspace_exists: bool
    secret_variables: _containers.ScalarMap[str, str]
    def __init__(self, job_id: _Optional[str] = ..., stage_name: _Optional[str] = ..., attempt: _Optional[int] = ..., command: _Optional[str] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., git_repository: _Optional[str] = ..., git_ref: _Optional[str] = ..., commit_id: _Optional[str] = ..., variables: _Optional[_Mapping[str, str]] = ..., working_directory: _Optional[str] = ..., kill_grace: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., workspace_exists: _Optional[bool] = ..., secret_variables: _Optional[_Mapping[str, str]] = ...) -> None: ...

class LeaseProof(_message.Message):
    __slots__ = ("lease_id", "fencing_token")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    fencing_token: int
    def __init__(self, lease_id: _Optional[str] = ..., fencing_token: _Optional[int] = ...) -> None: ...

class RenewLeaseRequest(_message.Message):
    __slots__ = ("proof", "progress_percent", "commit_id", "max_wait", "known_directive")
    PROOF_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    COMMIT_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_WAIT_FIELD_NUMBER: _ClassVar[int]
    KNOWN_DIRECTIVE_FIELD_NUMBER: _ClassVar[int]
    proof: LeaseProof
    progress_percent: int
    commit_id: str
    max_wait: _duration_pb2.Duration
    known_directive: Directive
    def __init__(self, proof: _Optional[_Union[LeaseProof, _Mapping]] = ..., progress_percent: _Optional[int] = ..., commit_id: _Optional[str] = ..., max_wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., known_directive: _Optional[_Union[Directive, str]] = ...) -> None: ...

class RenewLeaseResponse(_message.Message):
    __slots__ = ("ttl", "directive", "commit_id")
    TTL_FIELD_NUMBER: _ClassVar[int]
    DIRECTIVE_FIELD_NUMBER: _ClassVar[int]
    COMMIT_ID_FIELD_NUMBER: _ClassVar[int]
    ttl: _duration_pb2.Duration
    directive: Directive
    commit_id: str
    def __init__(self, ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., directive: _Optional[_Union[Directive, str]] = ..., commit_id: _Optional[str] = ...) -> None: ...

class AppendLogRequest(_message.Message):
    __slots__ = ("proof", "offset", "data", "dropped_bytes")
    PROOF_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    DROPPED_BYTES_FIELD_NUMBER: _ClassVar[int]
    proof: LeaseProof
    offset: int
    data: bytes
    dropped_bytes: int
    def __init__(self, proof: _Optional[_Union[LeaseProof, _Mapping]] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ..., dropped_bytes: _Optional[int] = ...) -> None: ...

class AppendLogResponse(_message.Message):
    __slots__ = ("committed_offset", "directive")
    COMMITTED_OFFSET_FIELD_NUMBER: _ClassVar[int]
    DIRECTIVE_FIELD_NUMBER: _ClassVar[int]
    committed_offset: int
    directive: Directive
    def __init__(self, committed_offset: _Optional[int] = ..., directive: _Optional[_Union[Directive, str]] = ...) -> None: ...

class CompleteLeaseRequest(_message.Message):
    __slots__ = ("proof", "outcome", "exit_code", "message", "log_size_bytes", "log_incomplete", "commit_id")
    PROOF_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LOG_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOG_INCOMPLETE_FIELD_NUMBER: _ClassVar[int]
    COMMIT_ID_FIELD_NUMBER: _ClassVar[int]
    proof: LeaseProof
    outcome: Outcome
    exit_code: int
    message: str
    log_size_bytes: int
    log_incomplete: bool
    commit_id: str
    def __init__(self, proof: _Optional[_Union[LeaseProof, _Mapping]] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., exit_code: _Optional[int] = ..., message: _Optional[str] = ..., log_size_bytes: _Optional[int] = ..., log_incomplete: _Optional[bool] = ..., commit_id: _Optional[str] = ...) -> None: ...

class CompleteLeaseResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeregisterRunnerRequest(_message.Message):
    __slots__ = ("runner_id", "session_id")
    RUNNER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    runner_id: str
    session_id: str
    def __init__(self, runner_id: _Optional[str] = ..., session_id: _Optional[str] = ...) -> None: ...

class DeregisterRunnerResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
