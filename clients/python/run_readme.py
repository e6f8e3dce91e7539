"""Runs the code of README.md after its first block, in its order and in one namespace.

It is given the page, the address of a service, and the directory with the page's files.
Only `test` uses it, with the package as it was built; it is not part of the package.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pipewright
from pipewright import v1


def blocks(page: str) -> list[str]:
    """The code blocks of the page."""
    return re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def ended_job(client: pipewright.Client) -> str:
    """The id of a job that has ended, with a stage `greet`."""
    pipeline = v1.Pipeline(
        name="readme", stages=[v1.Stage(name="greet", command="seq 1000; echo done")]
    )
    created = client.pipelines.CreatePipeline(v1.CreatePipelineRequest(pipeline=pipeline))
    trigger = v1.TriggerPipelineRequest(pipeline_id=created.pipeline.id)
    job_id = client.pipelines.TriggerPipeline(trigger).job.id
    for _ in client.watch_job(job_id):
        pass
    return job_id


def main() -> None:
    """Runs the blocks."""
    page, address = sys.argv[1:]
    with pipewright.connect(address) as client:
        job_id = ended_job(client)
        names: dict[str, Any] = {
            "pipewright": pipewright,
            "v1": v1,
            "client": client,
            "job_id": job_id,
        }
        for number, code in enumerate(blocks(Path(page).read_text())[1:], start=2):
            print(f"-- block {number}", flush=True)
            code = code.replace("127.0.0.1:50051", address)
            exec(compile(code, f"README.md, block {number}", "exec"), names)  # noqa: S102


if __name__ == "__main__":
    main()
