"""The story that every client is told. What it asserts is what is right."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from clients import Client
from player import CallError, Json, Player
from transcript import Transcript
from world import PASSWORD, USERNAME, World

REQUEST_ID = "6f1f5c1e-6a3e-4c43-8f0a-000000000001"
NOBODY = "01a1fe35-0b5c-717d-8031-3858a9169e00"
NO_LOG = {"job_id": NOBODY, "stage_name": "none"}
GATES = ("one", "two", "three")
MIB = 1024 * 1024
LOG_SIZE = 5 * MIB
# No text at its start, and different at every line.
LOG_COMMAND = f"printf '\\377\\000'; seq 1 1000000 | head -c {LOG_SIZE - 2}"
LOG = (b"\xff\x00" + b"".join(b"%d\n" % number for number in range(1, 1_000_001)))[:LOG_SIZE]


@dataclass
class Tally:
    """What is told of a client in the end."""

    calls: int = 0
    cuts: int = 0
    events: int = 0
    repeats: int = 0
    gaps: int = 0
    log_bytes: int = 0


class Story:
    """A client in its world, and what came of it."""

    def __init__(self, player: Player, world: World, client: Client) -> None:
        self.player = player
        self.world = world
        self.client = client
        self.tally = Tally()
        self.transcript = Transcript(str(world.directory))

    async def play(self) -> None:
        """Plays all of it."""
        await self.connect(username=USERNAME, password=PASSWORD)
        gated, written, held = await self.creates()
        await self.lists(gated, written, held)
        await self.updates(gated)
        await self.keeps_projects()
        succeeded = await self.triggers_once(gated)
        await self.watches_through_cuts(succeeded)
        await self.connect(token=self.world.token)
        await self.reads_a_log_through_cuts(written)
        job_id = await self.triggers_though_the_answer_is_lost(held)
        retried = await self.cancels_and_retries(job_id)
        await self.deletes(held, retried)
        await self.is_told_what_is_wrong(succeeded)
        await self.keeps_to_its_deadline(gated)
        await self.is_told_that_it_is_nobody(gated)
        await self.trusts_whom_it_is_told_to()
        await self.is_told_that_nobody_is_there(gated)
        await self.is_told_that_it_is_closed(gated)

    async def creates(self) -> list[str]:
        """Three pipelines: of stages that wait for gates, of a long log, and of no end."""
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
        """With the etag that was read, and again with the same, which is stale now."""
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
        """One from its making to its end, which has to wait for its pipeline's."""
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
        """The same request_id twice is one job, and with another request it is refused."""
        request = {"pipelineId": pipeline_id, "requestId": REQUEST_ID}
        first = await self.call("TriggerPipeline", request)
        again = await self.call("TriggerPipeline", request)
        job_id: str = first["job"]["id"]
        assert again["job"]["id"] == job_id
        assert len(await self.world.jobs(pipeline_id)) == 1
        other = {**request, "priority": 1}
        await self.refused("INVALID_ARGUMENT", "REQUEST_ID_REUSED", "TriggerPipeline", other)
        return job_id

    async def triggers_though_the_answer_is_lost(self, pipeline_id: str) -> str:
        """The service starts a job, the connection breaks, and the client tries again."""
        proxy = self.world.proxy
        # In a browser this makes sure that only the call itself is held back.
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
        """The connection breaks in each stage, after its first event has come."""
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

    async def reads_a_log_through_cuts(self, pipeline_id: str) -> None:
        """The whole of it, followed; a part of it, and its end."""
        triggered = await self.call("TriggerPipeline", {"pipelineId": pipeline_id})
        log = {"job_id": triggered["job"]["id"], "stage_name": "write"}
        ended = await self.until_ended(log["job_id"])
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

    async def cancels_and_retries(self, job_id: str) -> str:
        """A job that has ended can be retried, and not before."""
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

    async def is_told_what_is_wrong(self, job_id: str) -> None:
        """Each place in a request, by its path; and what there is not."""
        invalid = {"name": "invalid", "stages": [{"name": "a", "command": "true"}, {"name": "b"}]}
        error = await self.refused(
            "INVALID_ARGUMENT", "INVALID_FIELDS", "CreatePipeline", {"pipeline": invalid}
        )
        assert error.fields == ["pipeline.stages[1].command"], error.fields
        taken = {"pipeline": {"name": "gated", "stages": [{"name": "a", "command": "true"}]}}
        await self.refused("ALREADY_EXISTS", "PIPELINE_NAME_TAKEN", "CreatePipeline", taken)
        await self.refused("FAILED_PRECONDITION", "JOB_ENDED", "CancelJob", {"jobId": job_id})
        await self.refused("NOT_FOUND", "JOB_NOT_FOUND", "GetJob", {"jobId": NOBODY})
        await self.watch_is_refused("NOT_FOUND", "JOB_NOT_FOUND", NOBODY)
        await self.log_is_refused("NOT_FOUND", "JOB_NOT_FOUND", job_id=NOBODY, stage_name="a")

    async def keeps_to_its_deadline(self, pipeline_id: str) -> None:
        """The answer does not come in time; the next one does."""
        request = {"pipelineId": pipeline_id}
        self.world.proxy.hold()
        await self.refused("DEADLINE_EXCEEDED", "", "GetPipeline", request, timeout_ms=300)
        self.world.proxy.release()
        await self.call("GetPipeline", request)

    async def is_told_that_it_is_nobody(self, pipeline_id: str) -> None:
        """A wrong password is final for calls and for watches."""
        await self.connect(username=USERNAME, password="wrong")
        request = {"pipelineId": pipeline_id}
        await self.refused("UNAUTHENTICATED", "UNAUTHENTICATED", "GetPipeline", request)
        await self.watch_is_refused("UNAUTHENTICATED", "UNAUTHENTICATED", NOBODY)

    async def trusts_whom_it_is_told_to(self) -> None:
        """TLS with an authority that only the caller knows of, and without it."""
        if "tls" in self.client.lacks:
            return
        async with self.world.encrypted() as address:
            token = self.world.token
            authority = str(self.world.directory / "ca.crt")
            await self.player.connect(address=address, token=token, ca_certificate=authority)
            # Not noted, as some have no part in it.
            listed = await self.player.call("ListPipelines", {})
            assert listed == {}, listed
            await self.player.connect(address=address, token=token)
            try:
                listed = await self.player.call("ListPipelines", {})
            except CallError as error:
                assert error.code == "UNAVAILABLE", error
            else:
                raise AssertionError(f"a stranger was trusted, and said {listed}")
        await self.connect(token=self.world.token)

    async def is_told_that_nobody_is_there(self, pipeline_id: str) -> None:
        """The service has gone: it is tried again, but not for ever."""
        await self.world.stop_service()
        await self.refused("UNAVAILABLE", "", "GetPipeline", {"pipelineId": pipeline_id})
        await self.watch_is_refused("UNAVAILABLE", "", NOBODY)
        request = {"pipelineId": pipeline_id}
        await self.refused("DEADLINE_EXCEEDED", "", "GetPipeline", request, timeout_ms=200)

    async def is_told_that_it_is_closed(self, pipeline_id: str) -> None:
        """What is asked of a closed client is cancelled."""
        if "close" in self.client.lacks:
            return
        await self.player.close()
        for refused in (
            self.player.call("GetPipeline", {"pipelineId": pipeline_id}),
            anext(self.player.watch(NOBODY)),
            anext(self.player.read_log(self.world.directory / "refused", **NO_LOG)),
        ):
            try:
                answer = await refused
            except CallError as error:
                assert error.code == "CANCELLED", error
            else:
                raise AssertionError(f"a closed client has answered {answer}")

    async def connect(self, **credentials: str) -> None:
        """Makes a client of the proxy."""
        await self.player.connect(address=self.world.address(), **credentials)

    async def call(self, method: str, request: Json) -> Json:
        """Makes a call that has to go well."""
        response = await self.player.call(method, request)
        self.tally.calls += 1
        self.transcript.add(method, response)
        return response

    async def refused(
        self, code: str, reason: str, method: str, request: Json, timeout_ms: int | None = None
    ) -> CallError:
        """Makes a call that has to be refused like this."""
        try:
            response = await self.player.call(method, request, timeout_ms)
        except CallError as error:
            return self._note(method, error, code, reason)
        raise AssertionError(f"{method} should be {code}, and was answered {response}")

    async def watch_is_refused(self, code: str, reason: str, job_id: str) -> None:
        """Watches what has to be refused like this."""
        try:
            lines = [line async for line in self.player.watch(job_id)]
        except CallError as error:
            self._note("watch", error, code, reason)
        else:
            raise AssertionError(f"the watch should be {code}, and was {lines}")

    async def log_is_refused(self, code: str, reason: str, **wanted: str | int) -> None:
        """Reads what has to be refused like this."""
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
        """Reads a log without gaps from the byte where it has to start."""
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
