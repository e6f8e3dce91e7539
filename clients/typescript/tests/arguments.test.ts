import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, type HandlerContext } from "@connectrpc/connect";
import { Watch } from "../src/watch.js";
import { all, kinds, serve } from "./fake.js";
import { cancelled } from "./scripts.js";

for (const kind of kinds) {
  /** A service that records the time limits of its calls. */
  const scene = async (t: Parameters<typeof serve>[0]) => {
    const limits: (string | null)[] = [];
    const note = ({ requestHeader }: HandlerContext) => {
      limits.push(requestHeader.get("grpc-timeout"));
      return {};
    };
    const world = await serve(t, kind, {
      jobs: {
        getJob: (_, context) => note(context),
        async *watchJob(_, context) {
          yield note(context);
        },
        async *readStageLog(_, context) {
          yield note(context);
        },
      },
    });
    return { ...world, limits };
  };

  test(`${kind.name}: wrong arguments are refused before anything is sent`, async (t) => {
    const { client, clock, limits } = await scene(t);
    const attempt = (make: () => unknown) => async () => make();
    for (const wrong of [
      () => client.jobs.listJobs({ pageSize: 1.5 }),
      () => client.jobs.getJob({}, { timeoutMs: 0 }),
      () => client.jobs.getJob({}, { timeoutMs: -1 }),
      () => client.jobs.getJob({}, { timeoutMs: Number.NaN }),
      () => all(client.jobs.watchJob({}, { timeoutMs: -1 })),
      () => all(client.jobs.watchJob({ lastSeenSequence: 2n ** 64n })),
      () => all(client.watchJob("id", { lastSeenSequence: 2n ** 64n })),
      () => all(client.watchJob("id", { heartbeatIntervalMs: 0 })),
      () => all(client.watchJob("id", { heartbeatIntervalMs: -1_000 })),
      () => all(client.watchJob("id", { heartbeatIntervalMs: Number.NaN })),
      () => all(client.watchJob("id", { heartbeatIntervalMs: Infinity })),
      () => all(client.watchJob("id", { heartbeatIntervalMs: 1e300 })),
      () => all(client.readLog("id", "build", { offset: 2n ** 63n })),
      () => all(client.readLog("id", "build", { attempt: 1.5 })),
      () => all(client.readLog("id", "build", { limitBytes: -1n })),
    ]) {
      await assert.rejects(attempt(wrong), TypeError, String(wrong));
    }
    assert.deepEqual(limits, []);
    assert.deepEqual(clock.pauses, []);
  });

  test(`${kind.name}: a limit that is too long to tell is none`, async (t) => {
    const { client, limits } = await scene(t);
    for (const timeoutMs of [1_500.5, 99_999_999, 1e8, 1e12, Infinity]) {
      await client.jobs.getJob({}, { timeoutMs });
    }
    assert.deepEqual(limits, ["1501m", "99999999m", null, null, null]);
  });

  test(`${kind.name}: the service judges a heartbeat interval, its bounds are waited for`, async (t) => {
    const sent: unknown[] = [];
    const { client } = await serve(t, kind, {
      jobs: {
        async *watchJob({ heartbeatInterval }) {
          sent.push(heartbeatInterval && durationMs(heartbeatInterval));
        },
      },
    });
    for (const [heartbeatIntervalMs, silenceMs] of [
      [1, 3_000],
      [1e12, 180_000],
    ] as const) {
      const watch = new Watch(client.jobs, "id", { heartbeatIntervalMs });
      assert.equal(watch.silenceMs, silenceMs);
      await all(watch.open(new AbortController().signal));
    }
    assert.deepEqual(sent, [1, 1e12]);
  });

  test(`${kind.name}: many calls listen once to a signal that they share`, async (t) => {
    let running = 0;
    const abort = new AbortController();
    const { client } = await serve(t, kind, {
      jobs: {
        async getJob(_, context) {
          if (++running === 20) {
            assert.equal(getEventListeners(abort.signal, "abort").length, 1);
            abort.abort();
          }
          await cancelled(context);
          return {};
        },
      },
    });
    const { signal } = abort;
    const calls = Array.from({ length: 20 }, () => client.jobs.getJob({}, { signal }));
    for (const { status, ...rest } of await Promise.allSettled(calls)) {
      assert.equal(status, "rejected");
      assert.equal("reason" in rest && rest.reason.code, Code.Canceled);
    }
    assert.equal(running, 20);
  });
}
