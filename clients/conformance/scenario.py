"""The scenario that every client runs. Its assertions define the expected behaviour."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from clients import Client
from player import CallError, Json, Player
from transcript import Transcript
from world import PASSWORD, USERNAME, World

REQUEST_ID = "6f1f5c1e-6a3e-4c43-8f0a-000000000001"
OTHER_REQUEST_ID = "6f1f5c1e-6a3e-4c43-8f0a-000000000002"
ABSENT_ID = "01a1fe35-0b5c-717d-8031-3858a9169e00"
NO_LOG = {"job_id": ABSENT_ID, "stage_name": "none"}
GATES = ("one", "two", "three")
MIB = 1024 * 1024
LOG_SIZE = 5 * MIB
# Not valid UTF-8 at its start, and different at every line.
LOG_COMMAND = f"printf '\\377\\000'; seq 1 1000000 | head -c {LOG_SIZE - 2}"
LOG = (b"\xff\x00" + b"".join(b"%d\n" % number for number in range(1, 1_000_001)))[:LOG_SIZE]


@dataclass
class Tally:
    """The summary of a client."""

    calls: int = 0
    cuts: int = 0
    events: int = 0
    repeats: int = 0
    gaps: int = 0
    log_bytes: int = 0


class Story:
    """A client in its world, and the results."""

    def __init__(self, player: Player, world: World, client: Client) -> None:
        self.player = player
        self.world = world
        self.client = client
        self.tally = Tally()
        self.transcript = Transcript(str(world.directory))

    async def play(self) -> None:
        """Runs all steps."""
        await self.connect(username=USERNAME, password=PASSWORD)
        gated, written, held = await self.creates()
        await self.lists(gated, written, held)
        await self.updates(gated)
        await self.keeps_projects()
        succeeded = await self.triggers_once(gated)
        await self.watches_through_cuts(succeeded)
        await self.connect(token=self.world.token)
        log_of = await self.reads_a_log_through_cuts(written)
        await self.survives_a_crash(log_of)
        job_id = await self.triggers_although_the_response_is_lost(held)
        retried = await self.cancels_and_retries(job_id)
        await self.deletes(held, retried)
        await self.reports_violations(succeeded)
        await self.keeps_to_its_deadline(gated)
        await self.reports_wrong_credentials(gated)
        await self.trusts_the_given_authority()
        await self.reports_an_absent_service(gated)
        await self.reports_that_it_is_closed(gated)

    async def creates(self) -> list[str]:
        """Three pipelines: stages that wait for gates, a long log, and an endless stage."""
        stages = {
            "gated": {name: self.world.gate(name) for name in GATES},
            "written": {"write": LOG_COMMAND},
            "held": {"hold": self.world.gate("never")},
        }
        ids = []
        for name, commands in stages.items():
            pipeline = {
                "name": name,
                "stages": [
                    {"name": stage, "type": "TYPE_RUN", "command": command}
                    for stage, command in commands.items()
                ],
            }
            response = await self.call("CreatePipeline", {"pipeline": pipeline})
            assert response["pipeline"]["creator"] == USERNAME
            ids.append(response["pipeline"]["id"])
        return ids

    async def lists(self, *ids: str) -> None:
        """Newest first, in pages of two."""
        page = await self.call("ListPipelines", {"pageSize": 2})
        token = page["nextPageToken"]
        rest = await self.call("ListPipelines", {"pageSize": 2, "pageToken": token})
        listed = [pipeline["id"] for pipeline in page["pipelines"] + rest["pipelines"]]
        assert listed == list(reversed(ids)), listed
        assert "nextPageToken" not in rest

    async def updates(self, pipeline_id: str) -> None:
        """With the current etag, and again with the same one, which is stale by then."""
        read = await self.call("GetPipeline", {"pipelineId": pipeline_id})
        change = {
            "pipeline": {
                "id": pipeline_id,
                "etag": read["pipeline"]["etag"],
                "annotations": {"team": "shop"},
            }
        }
        updated = await self.call("UpdatePipeline", change)
        assert updated["pipeline"]["revision"] == "2"
        await self.refused("ABORTED", "ETAG_MISMATCH", "UpdatePipeline", change)

    async def keeps_projects(self) -> None:
        """From creation to deletion, which fails while the project has a pipeline."""
        made = {"name": "shop", "description": "All that sells", "annotations": {"team": "shop"}}
        created = (await self.call("CreateProject", {"project": made}))["project"]
        assert created["creator"] == USERNAME
        await self.refused("ALREADY_EXISTS", "PROJECT_EXISTS", "CreateProject", {"project": made})
        name = {"name": "shop"}
        assert (await self.call("GetProject", name))["project"] == created
        page = await self.call("ListProjects", {"pageSize": 1})
        token = page["nextPageToken"]
        rest = await self.call("ListProjects", {"pageSize": 1, "pageToken": token})
        listed = [project["name"] for project in page["projects"] + rest["projects"]]
        assert listed == ["default", "shop"], listed
        assert "nextPageToken" not in rest
        change = {"project": {**name, "etag": created["etag"], "description": "The shop"}}
        updated = (await self.call("UpdateProject", change))["project"]
        assert updated["description"] == "The shop"
        assert updated["annotations"] == made["annotations"]
        await self.refused("ABORTED", "ETAG_MISMATCH", "UpdateProject", change)
        stages = [{"name": "a", "command": "true"}]
        pipeline = {"project": "shop", "name": "sell", "stages": stages}
        inside = (await self.call("CreatePipeline", {"pipeline": pipeline}))["pipeline"]["id"]
        await self.refused("FAILED_PRECONDITION", "PROJECT_NOT_EMPTY", "DeleteProject", name)
        await self.call("DeletePipeline", {"pipelineId": inside})
        stale = {**name, "etag": created["etag"]}
        await self.refused("ABORTED", "ETAG_MISMATCH", "DeleteProject", stale)
        await self.call("DeleteProject", {**name, "etag": updated["etag"]})
        await self.refused("NOT_FOUND", "PROJECT_NOT_FOUND", "GetProject", name)
        default = {"name": "default"}
        await self.refused("FAILED_PRECONDITION", "PROJECT_PERMANENT", "DeleteProject", default)

    async def triggers_once(self, pipeline_id: str) -> str:
        """The same request_id twice gives one job; with a different request it is refused."""
        request = {"pipelineId": pipeline_id, "requestId": REQUEST_ID}
        first = await self.call("TriggerPipeline", request)
        again = await self.call("TriggerPipeline", request)
        job_id: str = first["job"]["id"]
        assert again["job"]["id"] == job_id
        assert len(await self.world.jobs(pipeline_id)) == 1
        other = {**request, "priority": 1}
        await self.refused("INVALID_ARGUMENT", "REQUEST_ID_REUSED", "TriggerPipeline", other)
        return job_id

    async def triggers_although_the_response_is_lost(self, pipeline_id: str) -> str:
        """The service starts a job, the connection breaks, and the client retries."""
        proxy = self.world.proxy
        # In a browser this ensures that the proxy holds only the call itself.
        first = await self.call("TriggerPipeline", {"pipelineId": pipeline_id})
        proxy.hold()
        call = asyncio.create_task(self.call("TriggerPipeline", {"pipelineId": pipeline_id}))
        await self.world.until_jobs(pipeline_id, 2)
        proxy.cut()
        proxy.release()
        job_id: str = (await call)["job"]["id"]
        jobs = [job["id"] for job in await self.world.jobs(pipeline_id)]
        assert jobs == [job_id, first["job"]["id"]], f"{job_id} is not the newest of {jobs}"
        return job_id

    async def watches_through_cuts(self, job_id: str) -> None:
        """The connection breaks in each stage, after its first event has arrived."""
        cuts_before = self.world.proxy.cuts
        gates = list(GATES)
        sequences = []
        async for line in self.player.watch(job_id, last_seen_sequence=0):
            self.transcript.add("watch", line)
            if "ended" in line:
                break
            sequences.append(int(line["event"]["sequence"]))
            run = line["event"].get("stageRunChanged", {}).get("stageRun", {})
            if run.get("state") == "STATE_RUNNING":
                gate = gates.pop(0)
                assert run["stageName"] == gate
                self.world.proxy.cut()
                self.world.open(gate)
        job = line["ended"]
        assert job["state"] == "STATE_SUCCEEDED"
        steps = [after - before for before, after in zip([0, *sequences], sequences, strict=False)]
        self.tally.cuts = self.world.proxy.cuts - cuts_before
        self.tally.events = len(sequences)
        self.tally.repeats = sum(step < 1 for step in steps)
        self.tally.gaps = sum(step > 1 for step in steps)
        assert self.tally.cuts == len(GATES)
        assert sequences == list(range(1, int(job["lastSequence"]) + 1)), sequences

    async def reads_a_log_through_cuts(self, pipeline_id: str) -> str:
        """The whole log, followed; a part of it, and its end."""
        triggered = await self.call("TriggerPipeline", {"pipelineId": pipeline_id})
        job_id: str = triggered["job"]["id"]
        log = {"job_id": job_id, "stage_name": "write"}
        ended = await self.until_ended(job_id)
        assert ended["stageRuns"][0]["logSizeBytes"] == str(LOG_SIZE)
        self.world.proxy.cut_after(2 * MIB)
        read = await self.read(0, **log, follow=True)
        assert self.world.proxy.was_cut(), "the log was read without a cut"
        assert read == LOG, "the log is not what was written"
        self.tally.log_bytes = len(read)
        assert await self.read(LOG_SIZE - 10, **log, offset=-10) == LOG[-10:]
        if "limit_bytes" not in self.client.lacks:
            self.world.proxy.cut_after(MIB)
            read = await self.read(7, **log, offset=7, limit_bytes=3 * MIB)
            assert self.world.proxy.was_cut(), "the part was read without a cut"
            assert read == LOG[7 : 7 + 3 * MIB], f"{len(read)} bytes of a part"
        await self.log_is_refused("OUT_OF_RANGE", "OFFSET_PAST_END", **log, offset=LOG_SIZE + 1)
        return job_id

    async def survives_a_crash(self, log_of: str) -> None:
        """The service is killed while a watch is open; its stage gets a second attempt."""
        # The first attempt writes nothing: how much of it was stored would depend on the moment.
        command = f"{self.world.gate('restarted')}; echo resumed"
        stages = [{"name": "resumed", "type": "TYPE_RUN", "command": command}]
        pipeline = {"name": "resumed", "stages": stages}
        created = await self.call("CreatePipeline", {"pipeline": pipeline})
        request = {"pipelineId": created["pipeline"]["id"], "requestId": OTHER_REQUEST_ID}
        triggered = await self.call("TriggerPipeline", request)
        job_id = triggered["job"]["id"]
        attempts = []
        sequences = []
        async for line in self.player.watch(job_id, last_seen_sequence=0):
            self.transcript.add("watch", line)
            if "ended" in line:
                break
            sequences.append(int(line["event"]["sequence"]))
            run = line["event"].get("stageRunChanged", {}).get("stageRun", {})
            if run.get("state") == "STATE_RUNNING":
                attempts.append(run["attempt"])
                if attempts == [1]:
                    await self.world.crash()
                else:
                    self.world.open("restarted")
        job = line["ended"]
        assert job["state"] == "STATE_SUCCEEDED"
        assert attempts == [1, 2], attempts
        assert sequences == list(range(1, int(job["lastSequence"]) + 1)), sequences
        # What was answered before the crash is answered in the same way after it.
        again = await self.call("TriggerPipeline", request)
        assert again["job"]["id"] == job_id
        assert await self.read(0, job_id=job_id, stage_name="resumed") == b"resumed\n"
        assert await self.read(0, job_id=log_of, stage_name="write") == LOG

    async def cancels_and_retries(self, job_id: str) -> str:
        """An ended job can be retried; an active one cannot."""
        await self.world.until_state(job_id, "STATE_RUNNING")
        await self.refused("FAILED_PRECONDITION", "JOB_NOT_ENDED", "RetryJob", {"jobId": job_id})
        request = {"jobId": job_id, "reason": "not needed"}
        cancelled = await self.call("CancelJob", request)
        assert cancelled["job"]["cancellation"]["reason"] == "not needed"
        ended = await self.until_ended(job_id)
        assert ended["state"] == "STATE_CANCELLED"
        await self.call("GetJob", {"jobId": job_id})
        retried = await self.call("RetryJob", {"jobId": job_id})
        assert retried["job"]["retriedJobId"] == job_id
        new_id: str = retried["job"]["id"]
        return new_id

    async def deletes(self, pipeline_id: str, job_id: str) -> None:
        """Not while a job of it is active."""
        await self.world.until_state(job_id, "STATE_RUNNING")
        request = {"pipelineId": pipeline_id}
        await self.refused(
            "FAILED_PRECONDITION", "PIPELINE_HAS_ACTIVE_JOBS", "DeletePipeline", request
        )
        await self.call("DeletePipeline", {**request, "force": True})
        ended = await self.until_ended(job_id)
        assert ended["cancellation"]["cause"] == "CAUSE_PIPELINE_DELETED"
        await self.refused("NOT_FOUND", "PIPELINE_NOT_FOUND", "GetPipeline", request)

    async def reports_violations(self, job_id: str) -> None:
        """Invalid fields are reported by path; absent resources are reported too."""
        invalid = {"name": "invalid", "stages": [{"name": "a", "command": "true"}, {"name": "b"}]}
        error = await self.refused(
            "INVALID_ARGUMENT", "INVALID_FIELDS", "CreatePipeline", {"pipeline": invalid}
        )
        assert error.fields == ["pipeline.stages[1].command"], error.fields
        taken = {"pipeline": {"name": "gated", "stages": [{"name": "a", "command": "true"}]}}
        await self.refused("ALREADY_EXISTS", "PIPELINE_NAME_TAKEN", "CreatePipeline", taken)
        await self.refused("FAILED_PRECONDITION", "JOB_ENDED", "CancelJob", {"jobId": job_id})
        await self.refused("NOT_FOUND", "JOB_NOT_FOUND", "GetJob", {"jobId": ABSENT_ID})
        await self.watch_is_refused("NOT_FOUND", "JOB_NOT_FOUND", ABSENT_ID)
        await self.log_is_refused("NOT_FOUND", "JOB_NOT_FOUND", job_id=ABSENT_ID, stage_name="a")

    async def keeps_to_its_deadline(self, pipeline_id: str) -> None:
        """One response is too late; the next one is in time."""
        request = {"pipelineId": pipeline_id}
        self.world.proxy.hold()
        await self.refused("DEADLINE_EXCEEDED", "", "GetPipeline", request, timeout_ms=300)
        self.world.proxy.release()
        await self.call("GetPipeline", request)

    async def reports_wrong_credentials(self, pipeline_id: str) -> None:
        """A wrong password is final for calls and for watches."""
        await self.connect(username=USERNAME, password="wrong")
        request = {"pipelineId": pipeline_id}
        await self.refused("UNAUTHENTICATED", "UNAUTHENTICATED", "GetPipeline", request)
        await self.watch_is_refused("UNAUTHENTICATED", "UNAUTHENTICATED", ABSENT_ID)

    async def trusts_the_given_authority(self) -> None:
        """TLS with a private authority, and without it."""
        if "tls" in self.client.lacks:
            return
        async with self.world.encrypted() as address:
            token = self.world.token
            authority = str(self.world.directory / "ca.crt")
            await self.player.connect(address=address, token=token, ca_certificate=authority)
            # Not recorded, as some clients skip this step.
            listed = await self.player.call("ListPipelines", {})
            assert listed == {}, listed
            await self.player.connect(address=address, token=token)
            try:
                listed = await self.player.call("ListPipelines", {})
            except CallError as error:
                assert error.code == "UNAVAILABLE", error
            else:
                raise AssertionError(f"an untrusted service was accepted, and returned {listed}")
        await self.connect(token=self.world.token)

    async def reports_an_absent_service(self, pipeline_id: str) -> None:
        """The service is gone: the client retries, but not indefinitely."""
        await self.world.stop_service()
        await self.refused("UNAVAILABLE", "", "GetPipeline", {"pipelineId": pipeline_id})
        await self.watch_is_refused("UNAVAILABLE", "", ABSENT_ID)
        request = {"pipelineId": pipeline_id}
        await self.refused("DEADLINE_EXCEEDED", "", "GetPipeline", request, timeout_ms=200)

    async def reports_that_it_is_closed(self, pipeline_id: str) -> None:
        """Calls of a closed client fail with CANCELLED."""
        if "close" in self.client.lacks:
            return
        await self.player.close()
        for refused in (
            self.player.call("GetPipeline", {"pipelineId": pipeline_id}),
            anext(self.player.watch(ABSENT_ID)),
            anext(self.player.read_log(self.world.directory / "refused", **NO_LOG)),
        ):
            try:
                answer = await refused
            except CallError as error:
                assert error.code == "CANCELLED", error
            else:
                raise AssertionError(f"a closed client has answered {answer}")

    async def connect(self, **credentials: str) -> None:
        """Creates a client of the proxy."""
        await self.player.connect(address=self.world.address(), **credentials)

    async def call(self, method: str, request: Json) -> Json:
        """Makes a call that must succeed."""
        response = await self.player.call(method, request)
        self.tally.calls += 1
        self.transcript.add(method, response)
        return response

    async def refused(
        self, code: str, reason: str, method: str, request: Json, timeout_ms: int | None = None
    ) -> CallError:
        """Makes a call that must fail with this error."""
        try:
            response = await self.player.call(method, request, timeout_ms)
        except CallError as error:
            return self._note(method, error, code, reason)
        raise AssertionError(f"{method} should be {code}, and was answered {response}")

    async def watch_is_refused(self, code: str, reason: str, job_id: str) -> None:
        """Starts a watch that must fail with this error."""
        try:
            lines = [line async for line in self.player.watch(job_id)]
        except CallError as error:
            self._note("watch", error, code, reason)
        else:
            raise AssertionError(f"the watch should be {code}, and was {lines}")

    async def log_is_refused(self, code: str, reason: str, **wanted: str | int) -> None:
        """Reads a log, which must fail with this error."""
        to = self.world.directory / "refused"
        try:
            lines = [line async for line in self.player.read_log(to, **wanted)]
        except CallError as error:
            self._note("read_log", error, code, reason)
        else:
            raise AssertionError(f"the log should be {code}, and was {lines}")

    async def until_ended(self, job_id: str) -> Json:
        """Watches a job from a snapshot to its end."""
        async for line in self.player.watch(job_id):
            last = line
        ended: Json = last["ended"]
        return ended

    async def read(self, start: int, **wanted: str | int | bool) -> bytes:
        """Reads a log without gaps; it must start at this byte."""
        to: Path = self.world.directory / "log"
        expected = start
        async for piece in self.player.read_log(to, **wanted):
            assert piece["chunk"]["offset"] == expected, f"{piece}, not at {expected}"
            expected += piece["chunk"]["size"]
        data = to.read_bytes()
        assert len(data) == expected - start
        self.tally.calls += 1
        return data

    def _note(self, step: str, error: CallError, code: str, reason: str) -> CallError:
        assert (error.code, error.reason) == (code, reason), f"{code} {reason}, not {error}"
        self.tally.calls += 1
        self.transcript.add_error(f"{step} refused", error.json)
        return error
