"""The blocking client."""

from __future__ import annotations

from types import TracebackType
from typing import cast

import grpc

from ._channel import Channel
from ._closing import Closing
from ._endpoint import Endpoint, Tls, endpoint
from ._log import LogCursor, LogPiece
from ._stream import Stream
from ._watch import JobUpdate, WatchCursor
from .runner.v1.lease_service_pb2_grpc import LeaseServiceStub
from .v1 import GetJobRequest, ReadStageLogRequest
from .v1.admin_service_pb2_grpc import AdminServiceStub
from .v1.job_service_pb2_grpc import JobServiceStub
from .v1.pipeline_service_pb2_grpc import PipelineServiceStub
from .v1.project_service_pb2_grpc import ProjectServiceStub
from .v1.runner_service_pb2_grpc import RunnerServiceStub


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
    """Creates a client of the service at an address; its first call connects.

    Args:
        address: `https://host:port`, `http://host:port`, or `host:port` for `http`; without
            a port 443 or 80, by scheme.
        token: Authenticates the caller; or use `username` and `password`.
        username: A user, with `password`.
        password: The user's password.
        ca_certificate: The authorities to trust instead of the system's, as PEM.
        client_certificate: A certificate of the client, as PEM, with `client_key`.
        client_key: The key of the certificate, as PEM.
        server_name: The name in the service's certificate, if it is not the host.
        insecure: Allows credentials to cross a network in plaintext, that is without TLS to
            an address that is not loopback.
        timeout: Seconds that a unary call may take, including its retries, unless it has
            a `timeout` of its own or is one of `leases`; `math.inf` for no limit.

    Raises:
        ValueError: For invalid arguments or combinations. The message repeats
            no secret.
    """
    tls = Tls(ca_certificate, client_certificate, client_key, server_name)
    return Client(
        endpoint(
            address,
            token=token,
            username=username,
            password=password,
            tls=tls,
            insecure=insecure,
            timeout=timeout,
        )
    )


class Client:
    """A service, on one connection. It may be used by many threads concurrently.

    `connect` creates one. `close`, or the end of a `with` statement, closes it.
    All calls raise ApiError.
    """

    pipelines: PipelineServiceStub
    """Manages pipelines and starts their jobs."""
    jobs: JobServiceStub
    """Shows and controls jobs."""
    runners: RunnerServiceStub
    """Shows and drains runners."""
    projects: ProjectServiceStub
    """Manages projects, which own pipelines."""
    admin: AdminServiceStub
    """Shows operators the background tasks of the service."""
    leases: LeaseServiceStub
    """Assigns stages to runners; for programs that are runners."""

    def __init__(self, service: Endpoint) -> None:
        channel = (
            grpc.insecure_channel(service.target, service.options)
            if service.credentials is None
            else grpc.secure_channel(service.target, service.credentials, service.options)
        )
        self._closing = Closing()
        self._channel = Channel(channel, service.defaults, self._closing)
        # It implements the part that stubs need.
        for_stubs = cast(grpc.Channel, self._channel)
        self.pipelines = PipelineServiceStub(for_stubs)
        self.jobs = JobServiceStub(for_stubs)
        self.runners = RunnerServiceStub(for_stubs)
        self.projects = ProjectServiceStub(for_stubs)
        self.admin = AdminServiceStub(for_stubs)
        self.leases = LeaseServiceStub(for_stubs)

    def watch_job(
        self,
        job_id: str,
        *,
        last_seen_sequence: int | None = None,
        heartbeat_interval: float | None = None,
    ) -> Stream[JobUpdate]:
        """Follows a job until it is over; the last update has `ended`.

        Once the service has sent a message, it reconnects as often as necessary, without a gap
        or a repeat.

        Args:
            job_id: The job.
            last_seen_sequence: Where to resume, the `sequence` of an update; 0 for all
                events. Without it the first update is a snapshot.
            heartbeat_interval: Seconds of silence after which the service sends a
                heartbeat, 1 to 60, 15 by default. After three times this it reconnects.

        Raises:
            ApiError: While iterating: the service was not reached five times in a row, or
                another try would not help.
        """
        cursor = WatchCursor(job_id, last_seen_sequence, heartbeat_interval)
        request = GetJobRequest(job_id=job_id)
        return Stream(
            cursor,
            self.jobs.WatchJob,
            lambda: cursor.conclude(self.jobs.GetJob(request).job),
            self._closing,
        )

    def read_log(
        self,
        job_id: str,
        stage_name: str,
        *,
        attempt: int = 0,
        offset: int = 0,
        limit_bytes: int = 0,
        follow: bool = False,
    ) -> Stream[LogPiece]:
        """Reads the log of a stage: chunks of bytes, and gaps where bytes are not stored.

        Reconnects like `watch_job`.

        Args:
            job_id: The job.
            stage_name: The stage, which need not have started.
            attempt: The attempt at the stage; 0 for the newest.
            offset: The first byte; a negative number counts from the end.
            limit_bytes: Stop after this many bytes; 0 for no limit.
            follow: Wait for more until the stage is over.

        Raises:
            ApiError: While iterating, as with `watch_job`.
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
        return Stream(cursor, self.jobs.ReadStageLog, cursor.conclude, self._closing)

    def close(self) -> None:
        """Ends the connection, and all calls, watches and logs with ApiError CANCELLED.

        Later ones fail in the same way.
        """
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
