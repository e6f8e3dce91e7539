"""The player for the command line: each call is a process."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

Json = dict[str, Any]

PIPEWRIGHT = os.environ["PIPEWRIGHT"]


class Refused(Exception):
    """The command failed, and printed the error as JSON."""


def flag(name: str, value: Any) -> list[str]:
    """An option, unless its value is None."""
    return [] if value is None else [f"--{name}={value}"]


def listing(request: Json) -> list[str]:
    """The options for one page of a list."""
    size = request.get("pageSize")
    return [
        *flag("limit", size),
        *flag("page-size", size),
        *flag("page-token", request.get("pageToken")),
    ]


def pipeline_data(request: Json) -> list[str]:
    """A pipeline as options, without the fields that only the service sets."""
    pipeline = dict(request["pipeline"])
    pipeline.pop("id", None)
    return ["--data", json.dumps(pipeline)]


def project_options(project: Json) -> list[str]:
    """The fields of a project that a caller may set, as options."""
    annotations = project.get("annotations", {}).items()
    return [
        *flag("description", project.get("description")),
        *(option for key, value in annotations for option in flag("annotation", f"{key}={value}")),
    ]


# The command for each method, and the field of its response that the command prints.
COMMANDS: dict[str, tuple[str | None, Callable[[Json], list[str]]]] = {
    "CreatePipeline": ("pipeline", lambda request: ["pipeline", "create", *pipeline_data(request)]),
    "GetPipeline": ("pipeline", lambda request: ["pipeline", "get", request["pipelineId"]]),
    "ListPipelines": (None, lambda request: ["pipeline", "list", *listing(request)]),
    "UpdatePipeline": (
        "pipeline",
        lambda request: ["pipeline", "update", request["pipeline"]["id"], *pipeline_data(request)],
    ),
    "DeletePipeline": (
        None,
        lambda request: [
            *["pipeline", "delete", request["pipelineId"]],
            *(["--force"] if request.get("force") else []),
        ],
    ),
    "CreateProject": (
        "project",
        lambda request: [
            *["project", "create", request["project"]["name"]],
            *project_options(request["project"]),
        ],
    ),
    "GetProject": ("project", lambda request: ["project", "get", request["name"]]),
    "ListProjects": (None, lambda request: ["project", "list", *listing(request)]),
    "UpdateProject": (
        "project",
        lambda request: [
            *["project", "update", request["project"]["name"]],
            *project_options(request["project"]),
            *flag("etag", request["project"].get("etag")),
        ],
    ),
    "DeleteProject": (
        None,
        lambda request: [
            *["project", "delete", request["name"]],
            *flag("etag", request.get("etag")),
        ],
    ),
    "TriggerPipeline": (
        "job",
        lambda request: [
            *["pipeline", "trigger", request["pipelineId"]],
            *flag("request-id", request.get("requestId")),
            *flag("priority", request.get("priority")),
        ],
    ),
    "GetJob": ("job", lambda request: ["job", "get", request["jobId"]]),
    "CancelJob": (
        "job",
        lambda request: ["job", "cancel", request["jobId"], *flag("reason", request.get("reason"))],
    ),
    "RetryJob": ("job", lambda request: ["job", "retry", request["jobId"]]),
}


class Player:
    """Executes the commands of the driver."""

    def __init__(self) -> None:
        self.environment: dict[str, str] = {}
        self.trusted: list[str] = []

    def play(self, line: Json) -> Iterator[Json]:
        """The responses to one line."""
        match line:
            case {"connect": options}:
                yield self.connect(options)
            case {"call": method, "request": request}:
                yield self.call(method, request, line.get("timeout_ms"))
            case {"watch": watch}:
                yield from self.watch(watch)
            case {"read_log": log, "to": to}:
                yield from self.read_log(log, Path(to))
            case _:
                raise ValueError(f"not understood: {line}")

    def connect(self, options: Json) -> Json:
        """Later commands get the options in their environment."""
        self.environment = {
            **os.environ,
            # A missing file: this user's own contexts are not used.
            "PIPEWRIGHT_CLIENT_CONFIG": "/nonexistent/contexts.toml",
            "PIPEWRIGHT_SERVER": options["address"],
        }
        for option in ("token", "username", "password"):
            if option in options:
                self.environment[f"PIPEWRIGHT_{option.upper()}"] = options[option]
        self.trusted = flag("ca-cert", options.get("ca_certificate"))
        return {"connected": {}}

    def call(self, method: str, request: Json, timeout_ms: int | None) -> Json:
        """One command."""
        field, arguments = COMMANDS[method]
        timeout = flag("timeout", f"{timeout_ms}ms" if timeout_ms else None)
        command = [PIPEWRIGHT, *arguments(request), *timeout, *self.trusted, "-o", "json"]
        ran = subprocess.run(
            command, env=self.environment, check=False, capture_output=True, text=True
        )
        if ran.returncode != 0:
            raise Refused(ran.stderr)
        printed = json.loads(ran.stdout)
        return {"response": {field: printed} if field else printed}

    def watch(self, wanted: Json) -> Iterator[Json]:
        """One command, whose exit code says how the job ended."""
        after = flag("after", wanted.get("last_seen_sequence"))
        command = [PIPEWRIGHT, "job", "watch", wanted["job_id"], *after, "-o", "json"]
        job: Json = {}
        with self._started(command) as process:
            assert process.stdout
            for text in process.stdout:
                line = json.loads(text)
                if "snapshot" in line:
                    job = line["snapshot"]["job"]
                    yield line
                else:
                    job = line.get("jobEnded", {}).get("job", job)
                    yield {"event": line}
            assert process.stderr
            told = process.stderr.read().decode()
        exits = {"STATE_SUCCEEDED": 0, "STATE_FAILED": 1, "STATE_CANCELLED": 9}
        if process.returncode != exits.get(job.get("state", "")):
            raise Refused(told)
        yield {"ended": job}

    def read_log(self, wanted: Json, to: Path) -> Iterator[Json]:
        """One command, with a line for each piece."""
        options = [
            *flag("offset", wanted.get("offset")),
            *flag("attempt", wanted.get("attempt")),
            *(["--follow"] if wanted.get("follow") else []),
        ]
        command = [PIPEWRIGHT, "job", "log", wanted["job_id"], wanted["stage_name"], *options]
        with self._started([*command, "-o", "json"]) as process, to.open("wb") as file:
            assert process.stdout and process.stderr
            for text in process.stdout:
                yield self._piece(json.loads(text), file)
            told = process.stderr.read().decode()
        if process.returncode != 0:
            raise Refused(told)
        yield {"log_end": {}}

    def _piece(self, message: Json, file: BinaryIO) -> Json:
        if gap := message.get("gap"):
            return {
                "gap": {
                    "start_offset": int(gap.get("startOffset", 0)),
                    "end_offset": int(gap["endOffset"]),
                }
            }
        data = base64.b64decode(message["chunk"]["data"])
        file.write(data)
        file.flush()
        return {"chunk": {"offset": int(message["chunk"].get("offset", 0)), "size": len(data)}}

    def _started(self, command: list[str]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )


def main() -> None:
    """Responds line by line."""
    player = Player()
    for text in sys.stdin:
        try:
            for answer in player.play(json.loads(text)):
                print(json.dumps(answer), flush=True)
        except Refused as refused:
            # Other messages, such as about an interrupted watch, come before it.
            print(str(refused).splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
