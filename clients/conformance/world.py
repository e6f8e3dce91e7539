"""The environment of a scenario: a service of its own behind a proxy, and a directory."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import certificates
from player import Json
from proxy import Proxy
from service import Service

USERNAME, PASSWORD = "ada", "correct horse battery"


class World:
    """Controls the service and the proxy; independent of the client under test."""

    def __init__(self, binary: str, directory: Path) -> None:
        self.binary = binary
        self.directory = directory
        self.gates = directory / "gates"
        self.token = ""

    async def start(self) -> None:
        """Starts the service, and the proxy in front of it."""
        self.gates.mkdir()
        credentials = ["--credentials", str(self.directory / "credentials.toml")]
        who = ["--role", "admin", *credentials]
        self._pipewright("user", "add", USERNAME, "--password-stdin", *who, stdin=PASSWORD)
        self.token = self._pipewright("token", "create", "conformance", *who).strip()
        # The pages of browsers come from another port.
        for_browsers = ["--allowed-origins", "*"]
        self._service = Service(self.binary, self.directory / "service.log")
        data = ["--data-dir", str(self.directory / "data")]
        self._arguments = ["--workers", "4", *for_browsers, *credentials, *data]
        await self._service.start(*self._arguments)
        self.proxy = Proxy(self._service.port)
        await self.proxy.start()

    @asynccontextmanager
    async def encrypted(self) -> AsyncIterator[str]:
        """The address of another service, with TLS; its authority is `ca.crt`."""
        certificates.make(self.directory)
        service = Service(self.binary, self.directory / "encrypted.log")
        names = ("credentials.toml", "service.crt", "service.key")
        credentials, certificate, key = (str(self.directory / name) for name in names)
        tls = ["--tls-certificate", certificate, "--tls-key", key]
        await service.start("--credentials", credentials, *tls)
        try:
            yield f"https://127.0.0.1:{service.port}"
        finally:
            await service.stop()

    async def crash(self) -> None:
        """Kills the service, and starts it again on the same data directory."""
        await self._service.kill()
        await self._service.start(*self._arguments)
        self.proxy.service_port = self._service.port

    async def stop(self) -> None:
        """Stops both; the service must exit by itself."""
        await self.proxy.stop()
        await self.stop_service()

    async def stop_service(self) -> None:
        """Stops the service; does nothing the second time."""
        await self._service.stop()

    def address(self) -> str:
        """The proxy's address for the client."""
        return f"http://127.0.0.1:{self.proxy.port}"

    def gate(self, name: str) -> str:
        """A shell command that waits until the file of this name exists."""
        return f"until [ -e '{self.gates}/{name}' ]; do sleep 0.02; done"

    def open(self, name: str) -> None:
        """Creates the file, which lets the waiting stage continue."""
        (self.gates / name).touch()

    async def jobs(self, pipeline_id: str) -> list[Json]:
        """The jobs of a pipeline, newest first, read without the proxy and the client."""
        arguments = ["job", "list", "--pipeline", pipeline_id, "-o", "json"]
        answer: Json = json.loads(await asyncio.to_thread(self._pipewright, *arguments))
        jobs: list[Json] = answer.get("jobs", [])
        return jobs

    async def until_jobs(self, pipeline_id: str, count: int) -> None:
        """Waits until the pipeline has this many jobs."""
        async with asyncio.timeout(30):
            while len(await self.jobs(pipeline_id)) < count:
                await asyncio.sleep(0.02)

    async def until_state(self, job_id: str, state: str) -> None:
        """Waits until a job is in this state."""
        arguments = ["job", "get", job_id, "-o", "json"]
        async with asyncio.timeout(30):
            while (
                json.loads(await asyncio.to_thread(self._pipewright, *arguments))["state"] != state
            ):
                await asyncio.sleep(0.02)

    def _pipewright(self, *arguments: str, stdin: str = "") -> str:
        environment = {
            **os.environ,
            "PIPEWRIGHT_CLIENT_CONFIG": str(self.directory / "no-contexts.toml"),
            "PIPEWRIGHT_TOKEN": self.token,
        }
        if self.token:
            environment["PIPEWRIGHT_SERVER"] = f"127.0.0.1:{self._service.port}"
        command = [self.binary, *arguments]
        ran = subprocess.run(
            command, input=stdin, env=environment, check=True, capture_output=True, text=True
        )
        return ran.stdout
