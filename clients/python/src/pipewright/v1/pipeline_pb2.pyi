import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ConcurrencyPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONCURRENCY_POLICY_UNSPECIFIED: _ClassVar[ConcurrencyPolicy]
    CONCURRENCY_POLICY_ALLOW: _ClassVar[ConcurrencyPolicy]
    CONCURRENCY_POLICY_QUEUE: _ClassVar[ConcurrencyPolicy]
    CONCURRENCY_POLICY_CANCEL_RUNNING: _ClassVar[ConcurrencyPolicy]

class RunCondition(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_CONDITION_UNSPECIFIED: _ClassVar[RunCondition]
    RUN_CONDITION_ON_SUCCESS: _ClassVar[RunCondition]
    RUN_CONDITION_ON_FAILURE: _ClassVar[RunCondition]
    RUN_CONDITION_ALWAYS: _ClassVar[RunCondition]
CONCURRENCY_POLICY_UNSPECIFIED: ConcurrencyPolicy
CONCURRENCY_POLICY_ALLOW: ConcurrencyPolicy
CONCURRENCY_POLICY_QUEUE: ConcurrencyPolicy
CONCURRENCY_POLICY_CANCEL_RUNNING: ConcurrencyPolicy
RUN_CONDITION_UNSPECIFIED: RunCondition
RUN_CONDITION_ON_SUCCESS: RunCondition
RUN_CONDITION_ON_FAILURE: RunCondition
RUN_CONDITION_ALWAYS: RunCondition

class Pipeline(_message.Message):
    __slots__ = ("id", "project", "name", "git_repository", "default_ref", "stages", "parallel", "variables", "concurrency_policy", "annotations", "revision", "etag", "create_time", "update_time", "creator", "secret_variables", "secret_variable_names")
    class VariablesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class AnnotationsEntry(_message.Message):
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
    ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    GIT_REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_REF_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    PARALLEL_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_POLICY_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    SECRET_VARIABLES_FIELD_NUMBER: _ClassVar[int]
    SECRET_VARIABLE_NAMES_FIELD_NUMBER: _ClassVar[int]
    id: str
    project: str
    name: str
    git_repository: str
    default_ref: str
    stages: _containers.RepeatedCompositeFieldContainer[Stage]
    parallel: bool
    variables: _containers.ScalarMap[str, str]
    concurrency_policy: ConcurrencyPolicy
    annotations: _containers.ScalarMap[str, str]
    revision: int
    etag: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    creator: str
    secret_variables: _containers.ScalarMap[str, str]
    secret_variable_names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., project: _Optional[str] = ..., name: _Optional[str] = ..., git_repository: _Optional[str] = ..., default_ref: _Optional[str] = ..., stages: _Optional[_Iterable[_Union[Stage, _Mapping]]] = ..., parallel: _Optional[bool] = ..., variables: _Optional[_Mapping[str, str]] = ..., concurrency_policy: _Optional[_Union[ConcurrencyPolicy, str]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., revision: _Optional[int] = ..., etag: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., creator: _Optional[str] = ..., secret_variables: _Optional[_Mapping[str, str]] = ..., secret_variable_names: _Optional[_Iterable[str]] = ...) -> None: ...

class Stage(_message.Message):
    __slots__ = ("name", "type", "command", "timeout", "needs", "run_condition", "variables", "runner_labels", "working_directory")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[Stage.Type]
        TYPE_RUN: _ClassVar[Stage.Type]
        TYPE_BUILD: _ClassVar[Stage.Type]
        TYPE_DEPLOY: _ClassVar[Stage.Type]
    TYPE_UNSPECIFIED: Stage.Type
    TYPE_RUN: Stage.Type
    TYPE_BUILD: Stage.Type
    TYPE_DEPLOY: Stage.Type
    class VariablesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class RunnerLabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    RUN_CONDITION_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    RUNNER_LABELS_FIELD_NUMBER: _ClassVar[int]
    WORKING_DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: Stage.Type
    command: str
    timeout: _duration_pb2.Duration
    needs: _containers.RepeatedScalarFieldContainer[str]
    run_condition: RunCondition
    variables: _containers.ScalarMap[str, str]
    runner_labels: _containers.ScalarMap[str, str]
    working_directory: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[Stage.Type, str]] = ..., command: _Optional[str] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., needs: _Optional[_Iterable[str]] = ..., run_condition: _Optional[_Union[RunCondition, str]] = ..., variables: _Optional[_Mapping[str, str]] = ..., runner_labels: _Optional[_Mapping[str, str]] = ..., working_directory: _Optional[str] = ...) -> None: ...
