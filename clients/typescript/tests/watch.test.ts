import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "../src/google/rpc/error_details_pb.js";
import { type JobUpdate, PipewrightError } from "../src/index.js";
import {
  Job_State,
  type JobEventSchema,
  type WatchJobRequest,
  type WatchJobResponseSchema,
} from "../src/v1.js";
import { all, kinds, type Methods, serve } from "./fake.js";
import { breaking, cancelled, hanging, type Script, scripted, sending, silent } from "./scripts.js";

type Message = MessageInitShape<typeof WatchJobResponseSchema>;
type Event = MessageInitShape<typeof JobEventSchema>;

const job = (lastSequence: bigint, state = Job_State.RUNNING) => ({
  id: "id",
  lastSequence,
  state,
});
const snapshot = (lastSequence: bigint, state?: Job_State): Message => ({
  payload: { case: "snapshot", value: { job: job(lastSequence, state) } },
});
const batch = (...events: Event[]): Message => ({ payload: { case: "events", value: { events } } });
const events = (...sequences: bigint[]): Message =>
  batch(...sequences.map((sequence) => ({ sequence })));
const end = (sequence: bigint): Message =>
  batch({
    sequence,
    change: { case: "jobEnded", value: { job: job(sequence, Job_State.FAILED) } },
  });
const heartbeat = (lastSequence: bigint): Message => ({
  payload: { case: "heartbeat", value: { lastSequence } },
});

function shown({ sequence, event, ended }: JobUpdate): string {
  return `${event ? "event" : "snapshot"} ${sequence}${ended ? " ended" : ""}`;
}

function cursors(requests: WatchJobRequest[]): (bigint | undefined)[] {
  return requests.map(({ lastSeenSequence }) => lastSeenSequence);
}

for (const kind of kinds) {
  /** A world in which the watch of a job plays the scripts. */
  const scene = async (
    t: Parameters<typeof serve>[0],
    scripts: Script<Message>[],
    methods: Methods["jobs"] = {},
  ) => {
    const { play, requests } = scripted<WatchJobRequest, Message>(...scripts);
    const world = await serve(t, kind, { jobs: { watchJob: play, ...methods } });
    return { ...world, requests };
  };

  test(`${kind.name}: a watch gives a snapshot, then events, until the job is over`, async (t) => {
    const { client, clock, requests } = await scene(t, [
      sending(snapshot(2n), events(3n, 4n), end(5n)),
    ]);
    const updates = await all(client.watchJob("id"));
    assert.deepEqual(updates.map(shown), ["snapshot 2", "event 3", "event 4", "event 5 ended"]);
    assert.equal(updates.at(-1)?.ended?.state, Job_State.FAILED);
    assert.equal(updates[0]?.snapshot?.job?.id, "id");
    assert.equal(updates[1]?.event?.sequence, 3n);
    assert.equal(requests[0]?.jobId, "id");
    assert.deepEqual(cursors(requests), [undefined]);
    assert.deepEqual(clock.pauses, []);
  });

  test(`${kind.name}: a snapshot of an ended job is the end`, async (t) => {
    const { client } = await scene(t, [hanging(snapshot(7n, Job_State.CANCELLED))]);
    const updates = await all(client.watchJob("id", { lastSeenSequence: 3n }));
    assert.deepEqual(updates.map(shown), ["snapshot 7 ended"]);
  });

  test(`${kind.name}: what is repeated is dropped, and a watch resumes after the last`, async (t) => {
    const { client, requests } = await scene(t, [
      breaking(Code.Internal, events(1n, 2n)),
      breaking(Code.Canceled, events(2n, 3n)),
      sending(events(1n, 2n, 3n), end(4n)),
    ]);
    const updates = await all(client.watchJob("id", { lastSeenSequence: 0n }));
    assert.deepEqual(updates.map(shown), ["event 1", "event 2", "event 3", "event 4 ended"]);
    assert.deepEqual(cursors(requests), [0n, 2n, 3n]);
  });

  test(`${kind.name}: an event that is further than the next is not given out`, async (t) => {
    const { client, requests } = await scene(t, [
      hanging(snapshot(2n), events(3n, 5n)),
      hanging(events(6n)),
      sending(events(4n), end(5n)),
    ]);
    const updates = await all(client.watchJob("id"));
    assert.deepEqual(updates.map(shown), ["snapshot 2", "event 3", "event 4", "event 5 ended"]);
    assert.deepEqual(cursors(requests), [undefined, 3n, 3n]);
  });

  test(`${kind.name}: a call that is given up is cancelled on the service`, async (t) => {
    let givenUp: Promise<void> | undefined;
    const { client } = await scene(t, [
      async function* (context) {
        givenUp = cancelled(context);
        yield* [snapshot(2n), events(5n)];
        await givenUp;
      },
      async function* () {
        await givenUp;
        yield end(3n);
      },
    ]);
    assert.deepEqual((await all(client.watchJob("id"))).map(shown), [
      "snapshot 2",
      "event 3 ended",
    ]);
  });

  test(`${kind.name}: a heartbeat after events that did not come reconnects`, async (t) => {
    const { client, requests } = await scene(t, [
      hanging(snapshot(2n), heartbeat(2n), heartbeat(3n)),
      sending(end(3n)),
    ]);
    assert.deepEqual((await all(client.watchJob("id"))).map(shown), [
      "snapshot 2",
      "event 3 ended",
    ]);
    assert.deepEqual(cursors(requests), [undefined, 2n]);
  });

  test(`${kind.name}: a snapshot replaces the last sequence, forwards and backwards`, async (t) => {
    const { client, requests } = await scene(t, [
      breaking(Code.Unavailable, events(1n), snapshot(9n), events(10n)),
      breaking(Code.Unavailable, snapshot(4n), events(5n)),
      sending(end(6n)),
    ]);
    const updates = await all(client.watchJob("id", { lastSeenSequence: 0n }));
    assert.deepEqual(updates.map(shown), [
      "event 1",
      "snapshot 9",
      "event 10",
      "snapshot 4",
      "event 5",
      "event 6 ended",
    ]);
    assert.deepEqual(cursors(requests), [0n, 10n, 5n]);
  });

  test(`${kind.name}: unknown payloads are passed over, unknown changes count`, async (t) => {
    const unknown = { $unknown: [{ no: 99, wireType: 0, data: new Uint8Array([1]) }] };
    const { client } = await scene(t, [
      sending(snapshot(1n), unknown as Message, batch({ sequence: 2n, ...unknown }), end(3n)),
    ]);
    const updates = await all(client.watchJob("id"));
    assert.deepEqual(updates.map(shown), ["snapshot 1", "event 2", "event 3 ended"]);
    assert.equal(updates[1]?.event?.change.case, undefined);
  });

  test(`${kind.name}: OK without the end asks for the job, which has ended`, async (t) => {
    const asked: string[] = [];
    const { client } = await scene(t, [sending(snapshot(1n))], {
      getJob({ jobId }) {
        asked.push(jobId);
        return { job: job(4n, Job_State.SUCCEEDED) };
      },
    });
    const updates = await all(client.watchJob("id"));
    assert.deepEqual(updates.map(shown), ["snapshot 1", "snapshot 4 ended"]);
    assert.equal(updates.at(-1)?.ended?.state, Job_State.SUCCEEDED);
    assert.deepEqual(asked, ["id"]);
  });

  test(`${kind.name}: OK without the end asks for the job, which has not ended`, async (t) => {
    const { client, requests } = await scene(t, [sending(snapshot(1n)), sending(end(2n))], {
      getJob: () => ({ job: job(2n, Job_State.CANCELLING) }),
    });
    const updates = await all(client.watchJob("id"));
    assert.deepEqual(updates.map(shown), ["snapshot 1", "event 2 ended"]);
    assert.deepEqual(cursors(requests), [undefined, 1n]);
  });

  test(`${kind.name}: some errors are final, before the first message and after`, async (t) => {
    for (const code of [
      Code.NotFound,
      Code.PermissionDenied,
      Code.Unauthenticated,
      Code.InvalidArgument,
      Code.Unimplemented,
    ]) {
      for (const messages of [[], [snapshot(1n)]]) {
        const { client, requests } = await scene(t, [breaking(code, ...messages)]);
        await assert.rejects(all(client.watchJob("id")), { code, rawMessage: "said so" });
        assert.equal(requests.length, 1);
      }
    }
  });

  test(`${kind.name}: the fifth failure in a row is the error before any message`, async (t) => {
    const { client, clock, requests } = await scene(
      t,
      Array(9).fill(breaking<Message>(Code.Internal)),
    );
    await assert.rejects(
      all(client.watchJob("id")),
      (error) => error instanceof PipewrightError && error.code === Code.Internal,
    );
    assert.equal(requests.length, 5);
    assert.equal(clock.pauses.length, 4);
  });

  test(`${kind.name}: once a message has come there is no limit to failures`, async (t) => {
    const { client, clock, requests } = await scene(t, [
      breaking(Code.Unavailable),
      breaking(Code.Unavailable, heartbeat(0n)),
      ...Array(20).fill(breaking<Message>(Code.Unavailable)),
      breaking(Code.Unavailable, events(1n)),
      sending(end(2n)),
    ]);
    await all(client.watchJob("id"));
    assert.equal(requests.length, 24);
    // The longest pause is 5 s, the one after a message 100 ms; all are shortened by half at most.
    const [longest = 0, last = 0] = clock.pauses.slice(-2);
    assert.ok(2_500 <= longest && longest <= 5_000, String(longest));
    assert.ok(50 <= last && last <= 100, String(last));
  });

  test(`${kind.name}: the pause is as long as the service asks for`, async (t) => {
    const value = { retryDelay: { seconds: 4n } };
    const { client, clock } = await scene(t, [
      function* () {
        yield snapshot(1n);
        throw new ConnectError("later", Code.Unavailable, {}, [{ desc: RetryInfoSchema, value }]);
      },
      sending(end(2n)),
    ]);
    await all(client.watchJob("id"));
    assert.deepEqual(clock.pauses, [4_000]);
  });

  test(`${kind.name}: silence for three heartbeats reconnects, also before the first`, async (t) => {
    const [first, second] = [silent<Message>(), silent(snapshot(1n))];
    const { client, clock, requests } = await scene(t, [
      first.script,
      second.script,
      sending(end(2n)),
    ]);
    clock.silent = { 1: first.reached, 3: second.reached };
    const watch = client.watchJob("id", { heartbeatIntervalMs: 2_000 });
    assert.deepEqual((await all(watch)).map(shown), ["snapshot 1", "event 2 ended"]);
    assert.deepEqual(cursors(requests), [undefined, undefined, 1n]);
    assert.equal(requests[0]?.heartbeatInterval?.seconds, 2n);
    assert.deepEqual(new Set(clock.silences), new Set([6_000]));
  });

  test(`${kind.name}: silence is 45 s unless an interval is set`, async (t) => {
    const { client, clock, requests } = await scene(t, [sending(end(1n))]);
    await all(client.watchJob("id"));
    assert.deepEqual(clock.silences, [45_000]);
    assert.equal(requests[0]?.heartbeatInterval, undefined);
  });

  test(`${kind.name}: a watch goes on over a connection that was cut`, async (t) => {
    for (const how of ["reset", "end"] as const) {
      const { client, cut, requests } = await scene(t, [hanging(snapshot(1n)), sending(end(2n))]);
      const sequences: bigint[] = [];
      for await (const { sequence } of client.watchJob("id")) {
        sequences.push(sequence);
        if (sequence === 1n) {
          cut(how);
        }
      }
      assert.deepEqual(sequences, [1n, 2n]);
      assert.deepEqual(cursors(requests), [undefined, 1n]);
    }
  });

  test(`${kind.name}: leaving the loop cancels the call on the service`, async (t) => {
    let ended: Promise<void> | undefined;
    const { client, requests } = await scene(t, [
      async function* (context) {
        ended = cancelled(context);
        yield snapshot(1n);
        await ended;
      },
    ]);
    for await (const _ of client.watchJob("id")) {
      break;
    }
    await ended;
    assert.equal(requests.length, 1);
  });

  test(`${kind.name}: the caller's abort ends a watch, with its reason`, async (t) => {
    const { client } = await scene(t, [hanging(snapshot(1n))]);
    const abort = new AbortController();
    const reason = new Error("changed my mind");
    const watch = client.watchJob("id", { signal: abort.signal });
    await watch.next();
    const next = watch.next();
    abort.abort(reason);
    await assert.rejects(next, { code: Code.Canceled, cause: reason });
  });

  test(`${kind.name}: the caller's abort ends the pause of a watch`, async (t) => {
    const { client, clock } = await scene(t, [breaking(Code.Unavailable, snapshot(1n))]);
    const abort = new AbortController();
    clock.onPause = () => abort.abort("changed my mind");
    const watch = all(client.watchJob("id", { signal: abort.signal }));
    await assert.rejects(watch, { code: Code.Canceled, cause: "changed my mind" });
  });
}
