"""The asyncio client."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import TracebackType
from typing import TYPE_CHECKING

from grpc import aio

from .._endpoint import Endpoint, Tls, endpoint
from .._log import LogCursor, LogPiece
from .._watch import JobUpdate, WatchCursor
from ..runner.v1.lease_service_pb2_grpc import LeaseServiceStub
from ..v1 import GetJobRequest, ReadStageLogRequest
from ..v1.admin_service_pb2_grpc import AdminServiceStub
from ..v1.job_service_pb2_grpc import JobServiceStub
from ..v1.pipeline_service_pb2_grpc import PipelineServiceStub
from ..v1.project_service_pb2_grpc import ProjectServiceStub
from ..v1.runner_service_pb2_grpc import RunnerServiceStub
from ._closing import Closing
from ._interceptors import interceptors
from ._stream import resume

if TYPE_CHECKING:
    from ..runner.v1.lease_service_pb2_grpc import LeaseServiceAsyncStub
    from ..v1.admin_service_pb2_grpc import AdminServiceAsyncStub
    from ..v1.job_service_pb2_grpc import JobServiceAsyncStub
    from ..v1.pipeline_service_pb2_grpc import PipelineServiceAsyncStub
    from ..v1.project_service_pb2_grpc import ProjectServiceAsyncStub
    from ..v1.runner_service_pb2_grpc import RunnerServiceAsyncStub


def connect(
    address: str,
    *,
    token: str | None = None,
    username: str | None = None,
    password: str | None = None,
    ca_certificate: bytes | None = None,
    client_certificate: bytes | None = None,
    client_key: bytes | None = None,
    server_name: str | None = None,
    insecure: bool = False,
    timeout: float = 30.0,
) -> Client:
    """Creates a client for the running event loop; its first call connects.

    The arguments and their errors are those of `pipewright.connect`.
    """
    return Client(
        endpoint(
            address,
            token=token,
            username=username,
            password=password,
            tls=Tls(ca_certificate, client_certificate, client_key, server_name),
            insecure=insecure,
            timeout=timeout,
        )
    )


class Client:
    """A service, on one connection, for the tasks of one event loop.

    `connect` creates one. `close`, or the end of an `async with` statement, closes it.
    All calls raise ApiError. Cancelling the task of a call cancels it on the service.
    """

    pipelines: PipelineServiceAsyncStub
    """Manages pipelines and starts their jobs."""
    jobs: JobServiceAsyncStub
    """Shows and controls jobs."""
    runners: RunnerServiceAsyncStub
    """Shows and drains runners."""
    projects: ProjectServiceAsyncStub
    """Manages projects, which own pipelines."""
    admin: AdminServiceAsyncStub
    """Shows operators the background tasks of the service."""
    leases: LeaseServiceAsyncStub
    """Assigns stages to runners; for programs that are runners."""

    def __init__(self, service: Endpoint) -> None:
        self._closing = Closing()
        added = interceptors(service.defaults, self._closing)
        self._channel = (
            aio.insecure_channel(service.target, service.options, interceptors=added)
            if service.credentials is None
            else aio.secure_channel(
                service.target, service.credentials, service.options, interceptors=added
            )
        )
        self.pipelines = PipelineServiceStub(self._channel)
        self.jobs = JobServiceStub(self._channel)
        self.runners = RunnerServiceStub(self._channel)
        self.projects = ProjectServiceStub(self._channel)
        self.admin = AdminServiceStub(self._channel)
        self.leases = LeaseServiceStub(self._channel)

    def watch_job(
        self,
        job_id: str,
        *,
        last_seen_sequence: int | None = None,
        heartbeat_interval: float | None = None,
    ) -> AsyncGenerator[JobUpdate, None]:
        """Follows a job until it is over, as `pipewright.Client.watch_job` does.

        Leaving the loop ends the call; a generator that is kept in a variable is used with
        `contextlib.aclosing`.
        """
        cursor = WatchCursor(job_id, last_seen_sequence, heartbeat_interval)

        async def conclude() -> JobUpdate:
            response = await self.jobs.GetJob(GetJobRequest(job_id=job_id))
            return cursor.conclude(response.job)

        return resume(cursor, self.jobs.WatchJob, conclude, self._closing.pause)

    def read_log(
        self,
        job_id: str,
        stage_name: str,
        *,
        attempt: int = 0,
        offset: int = 0,
        limit_bytes: int = 0,
        follow: bool = False,
    ) -> AsyncGenerator[LogPiece, None]:
        """Reads the log of a stage, as `pipewright.Client.read_log` does.

        It is left like `watch_job`.
        """
        cursor = LogCursor(
            ReadStageLogRequest(
                job_id=job_id,
                stage_name=stage_name,
                attempt=attempt,
                offset=offset,
                limit_bytes=limit_bytes,
                follow=follow,
            )
        )

        async def conclude() -> None:
            cursor.conclude()

        return resume(cursor, self.jobs.ReadStageLog, conclude, self._closing.pause)

    async def close(self) -> None:
        """Ends the connection and everything on it, as `pipewright.Client.close` does."""
        await self._closing.close()
        await self._channel.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
