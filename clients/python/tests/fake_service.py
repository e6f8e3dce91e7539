"""A service that plays scripts, on a free port of loopback."""

from __future__ import annotations

import math
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.status_pb2 import Status

from pipewright.runner.v1 import lease_service_pb2
from pipewright.v1 import (
    admin_service_pb2,
    job_service_pb2,
    pipeline_service_pb2,
    project_service_pb2,
    runner_service_pb2,
)

PATIENCE = 20.0

SERVICES: dict[str, ServiceDescriptor] = {
    "pipelines": pipeline_service_pb2.DESCRIPTOR.services_by_name["PipelineService"],
    "jobs": job_service_pb2.DESCRIPTOR.services_by_name["JobService"],
    "runners": runner_service_pb2.DESCRIPTOR.services_by_name["RunnerService"],
    "projects": project_service_pb2.DESCRIPTOR.services_by_name["ProjectService"],
    "admin": admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"],
    "leases": lease_service_pb2.DESCRIPTOR.services_by_name["LeaseService"],
}
METHODS = [(stub, method.name) for stub, service in SERVICES.items() for method in service.methods]


@dataclass(frozen=True)
class Refuse:
    """Ends the call with an error."""

    code: grpc.StatusCode
    message: str = "refused"
    details: Sequence[Message] = ()
    raw_details: bytes | None = None


@dataclass(frozen=True)
class Head:
    """Sends the headers of the response."""


@dataclass(frozen=True)
class Silence:
    """Sends nothing until the client has left."""


@dataclass(frozen=True)
class Do:
    """Runs a function of the test."""

    action: Callable[[], object]


@dataclass(frozen=True)
class Garbage:
    """Sends bytes that are not a message."""


Step = Message | Refuse | Head | Silence | Do | Garbage


@dataclass
class Call:
    """A received call."""

    method: str
    request: Any
    metadata: dict[str, str | bytes]
    limit: float
    over: threading.Event = field(default_factory=threading.Event)
    was_cancelled: bool = False

    def cancelled(self) -> bool:
        """Waits for the end of the call: whether the client cancelled it."""
        assert self.over.wait(PATIENCE), "the call continues"
        return self.was_cancelled


class FakeService:
    """Plays the next script of the test for each call of a method."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None, port: int = 0) -> None:
        self.calls: list[Call] = []
        self.came = threading.Event()
        self._scripts: dict[str, deque[Sequence[Step]]] = defaultdict(deque)
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
        self._server.add_generic_rpc_handlers([_handler(s, self) for s in SERVICES.values()])
        address = f"127.0.0.1:{port}"
        self.port = (
            self._server.add_secure_port(address, credentials)
            if credentials
            else self._server.add_insecure_port(address)
        )
        self.address = f"127.0.0.1:{self.port}"
        self._server.start()

    def on(self, method: str, *scripts: Sequence[Step]) -> None:
        """Adds the scripts of the next calls of a method."""
        self._scripts[method].extend(scripts)

    def called(self, method: str) -> list[Call]:
        """The calls of a method so far."""
        return [call for call in self.calls if call.method == method]

    def requests(self, method: str) -> list[Any]:
        """The requests of a method so far."""
        return [call.request for call in self.called(method)]

    def stop(self) -> None:
        """Ends all calls."""
        self._server.stop(0).wait()

    def play(
        self, method: MethodDescriptor, request: Any, context: grpc.ServicerContext
    ) -> Iterator[Message | Garbage]:
        """One call."""
        metadata = dict(context.invocation_metadata())
        call = Call(method.name, request, metadata, _limit(context))
        left = threading.Event()
        finished = False

        def over() -> None:
            call.was_cancelled = not finished
            left.set()
            call.over.set()

        if not context.add_callback(over):
            over()
        self.calls.append(call)
        self.came.set()
        scripts = self._scripts[method.name]
        # Final for watches and logs, too: a test without enough scripts ends.
        script = scripts.popleft() if scripts else [_NO_SCRIPT]
        for step in script:
            match step:
                case Head():
                    context.send_initial_metadata(())
                case Silence():
                    finished = not left.wait(PATIENCE)
                    assert not finished, "the client stayed"
                case Do(action):
                    action()
                case Refuse():
                    finished = True
                    _abort(context, step)
                case message:
                    finished = not method.server_streaming
                    yield message
        finished = True


def _limit(context: grpc.ServicerContext) -> float:
    """The deadline of the call in seconds; gRPC has a huge number for no limit."""
    seconds = context.time_remaining()
    return math.inf if seconds > 1e9 else seconds


_NO_SCRIPT = Refuse(grpc.StatusCode.INVALID_ARGUMENT, "the test has no script for this call")


def _abort(context: grpc.ServicerContext, step: Refuse) -> None:
    raw = step.raw_details
    if step.details:
        status = Status(code=step.code.value[0], message=step.message)
        for detail in step.details:
            packed = AnyMessage()
            packed.Pack(detail)
            status.details.append(packed)
        raw = status.SerializeToString()
    if raw is not None:
        context.set_trailing_metadata((("grpc-status-details-bin", raw),))
    context.abort(step.code, step.message)


def _handler(service: ServiceDescriptor, fake: FakeService) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        service.full_name, {method.name: _method(method, fake) for method in service.methods}
    )


def _method(method: MethodDescriptor, fake: FakeService) -> grpc.RpcMethodHandler[Any, Any]:
    def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Message | Garbage]:
        yield from fake.play(method, request, context)

    def unary(request: Any, context: grpc.ServicerContext) -> Message | Garbage:
        return next(fake.play(method, request, context), GetMessageClass(method.output_type)())

    read: Callable[[bytes], Any] = GetMessageClass(method.input_type).FromString
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(stream, read, _write)
    return grpc.unary_unary_rpc_method_handler(unary, read, _write)


def _write(message: Message | Garbage) -> bytes:
    return b"\xff" * 3 if isinstance(message, Garbage) else message.SerializeToString()
