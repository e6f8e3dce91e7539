import assert from "node:assert/strict";
import { test } from "node:test";
import { clone, create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { RetryInfoSchema } from "../src/google/rpc/error_details_pb.js";
import { PipewrightError } from "../src/index.js";
import {
  CreatePipelineRequestSchema,
  type TriggerPipelineRequest,
  TriggerPipelineRequestSchema,
} from "../src/v1.js";
import { all, kinds, serve } from "./fake.js";
import { cancelled } from "./scripts.js";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** A trigger that fails this often with the code before it succeeds; records the ids. */
function failing(times: number, code: Code) {
  const ids: string[] = [];
  const triggerPipeline = ({ requestId }: TriggerPipelineRequest) => {
    ids.push(requestId);
    if (ids.length <= times) {
      throw new ConnectError("not now", code);
    }
    return { job: { id: "job" } };
  };
  return { ids, pipelines: { triggerPipeline } };
}

function isError(code: Code) {
  return (error: unknown) => {
    assert.ok(error instanceof PipewrightError, String(error));
    assert.equal(Code[error.code], Code[code]);
    return true;
  };
}

for (const kind of kinds) {
  test(`${kind.name}: UNAVAILABLE is tried again with the same request id`, async (t) => {
    const { ids, ...methods } = failing(4, Code.Unavailable);
    const { client, clock } = await serve(t, kind, methods);
    const request = create(TriggerPipelineRequestSchema, { pipelineId: "id" });
    const before = clone(TriggerPipelineRequestSchema, request);
    const { job } = await client.pipelines.triggerPipeline(request);
    assert.equal(job?.id, "job");
    assert.equal(ids.length, 5);
    assert.match(ids[0] ?? "", UUID);
    assert.equal(new Set(ids).size, 1);
    assert.deepEqual(request, before);
    for (const [index, full] of [100, 200, 400, 800].entries()) {
      const pause = clock.pauses[index] ?? 0;
      assert.ok(full / 2 <= pause && pause <= full, `${pause} of ${full}`);
    }
  });

  test(`${kind.name}: the pause before another try is as long as the service asks for`, async (t) => {
    const value = { retryDelay: { seconds: 4n } };
    let tries = 0;
    const { client, clock } = await serve(t, kind, {
      jobs: {
        getJob() {
          if (++tries === 1) {
            throw new ConnectError("later", Code.Unavailable, {}, [
              { desc: RetryInfoSchema, value },
            ]);
          }
          return {};
        },
      },
    });
    await client.jobs.getJob({});
    assert.deepEqual(clock.pauses, [4_000]);
  });

  test(`${kind.name}: a call is tried five times in all`, async (t) => {
    const { ids, ...methods } = failing(9, Code.Unavailable);
    const { client } = await serve(t, kind, methods);
    await assert.rejects(client.pipelines.triggerPipeline({}), isError(Code.Unavailable));
    assert.equal(ids.length, 5);
  });

  test(`${kind.name}: other codes are not tried again`, async (t) => {
    for (const code of [Code.Internal, Code.Aborted, Code.Canceled, Code.ResourceExhausted]) {
      const { ids, ...methods } = failing(1, code);
      const { client } = await serve(t, kind, methods);
      await assert.rejects(client.pipelines.triggerPipeline({}), isError(code));
      assert.equal(ids.length, 1);
    }
  });

  test(`${kind.name}: each call has another request id, but the caller's own is kept`, async (t) => {
    const { ids, ...methods } = failing(0, Code.Unavailable);
    const { client } = await serve(t, kind, methods);
    await client.pipelines.triggerPipeline({});
    await client.pipelines.triggerPipeline({});
    await client.pipelines.triggerPipeline({ requestId: "mine" });
    assert.equal(new Set(ids).size, 3);
    assert.equal(ids[2], "mine");
  });

  test(`${kind.name}: what only validates gets no request id`, async (t) => {
    const sent: string[] = [];
    const { client } = await serve(t, kind, {
      pipelines: {
        createPipeline: ({ requestId, pipeline }) => {
          sent.push(requestId);
          return pipeline ? { pipeline } : {};
        },
      },
    });
    const request = create(CreatePipelineRequestSchema, { pipeline: { name: "a" } });
    await client.pipelines.createPipeline({ ...request, validateOnly: true });
    const { pipeline } = await client.pipelines.createPipeline(request);
    assert.equal(sent[0], "");
    assert.match(sent[1] ?? "", UUID);
    assert.equal(pipeline?.name, "a");
  });

  test(`${kind.name}: a runner's calls are left as they are`, async (t) => {
    const sent: (string | null)[] = [];
    const { client } = await serve(t, kind, {
      leases: {
        acquireLease: ({ requestId }, context) => {
          sent.push(requestId, context.requestHeader.get("grpc-timeout"));
          throw new ConnectError("not now", Code.Unavailable);
        },
      },
    });
    await assert.rejects(client.leases.acquireLease({}), isError(Code.Unavailable));
    assert.deepEqual(sent, ["", null]);
  });

  test(`${kind.name}: a call whose connection is cut is made again with the same id`, async (t) => {
    for (const how of ["reset", "end"] as const) {
      const ids: string[] = [];
      const { client, cut } = await serve(t, kind, {
        pipelines: {
          async triggerPipeline({ requestId }, context) {
            ids.push(requestId);
            if (ids.length === 1) {
              cut(how);
              await cancelled(context);
            }
            return {};
          },
        },
      });
      await client.pipelines.triggerPipeline({});
      assert.equal(ids.length, 2);
      assert.equal(ids[0], ids[1]);
    }
  });

  test(`${kind.name}: where there is no service, a call is tried again, too`, async (t) => {
    const { client, clock, stop } = await serve(t, kind, {});
    await stop();
    await assert.rejects(client.jobs.getJob({}), isError(Code.Unavailable));
    assert.equal(clock.pauses.length, 4);
    await assert.rejects(all(client.jobs.watchJob({})), isError(Code.Unavailable));
    assert.equal(clock.pauses.length, 4, "a stream is not");
  });

  test(`${kind.name}: a call has a limit of 30 s or its own, a stream has none`, async (t) => {
    const limits: (string | null)[] = [];
    const note = (context: HandlerContext) =>
      limits.push(context.requestHeader.get("grpc-timeout"));
    const { client } = await serve(t, kind, {
      jobs: {
        getJob: (_, context) => {
          note(context);
          return {};
        },
        async *watchJob(_, context) {
          note(context);
        },
      },
    });
    await client.jobs.getJob({});
    await client.jobs.getJob({}, { timeoutMs: 5_000 });
    for await (const _ of client.jobs.watchJob({})) {
    }
    assert.deepEqual(limits, ["30000m", "5000m", null]);
  });

  test(`${kind.name}: a call ends with its limit`, async (t) => {
    const { client } = await serve(t, kind, {
      jobs: {
        async getJob(_, context) {
          await cancelled(context);
          return {};
        },
      },
    });
    await assert.rejects(client.jobs.getJob({}, { timeoutMs: 20 }), isError(Code.DeadlineExceeded));
  });

  test(`${kind.name}: the limit covers the pauses`, async (t) => {
    const { client, clock } = await serve(t, kind, failing(9, Code.Unavailable));
    clock.onPause = () => {};
    await assert.rejects(
      client.pipelines.triggerPipeline({}, { timeoutMs: 200 }),
      isError(Code.DeadlineExceeded),
    );
  });

  test(`${kind.name}: the caller's own abort is CANCELED, with its reason`, async (t) => {
    const abort = new AbortController();
    const reason = new Error("changed my mind");
    const { client } = await serve(t, kind, {
      pipelines: {
        async triggerPipeline(_, context) {
          abort.abort(reason);
          await cancelled(context);
          return {};
        },
      },
    });
    const signal = abort.signal;
    for (const state of ["under way", "aborted before"]) {
      await assert.rejects(
        client.pipelines.triggerPipeline({}, { signal }),
        (error) => isError(Code.Canceled)(error) && (error as Error).cause === reason,
        state,
      );
    }
  });

  test(`${kind.name}: closing ends calls, streams and pauses, and refuses later ones`, async (t) => {
    const { client, clock } = await serve(t, kind, {
      jobs: {
        async getJob() {
          throw new ConnectError("not now", Code.Unavailable);
        },
        async *watchJob(_, context) {
          await cancelled(context);
        },
      },
    });
    const watch = client.watchJob("id").next();
    const closed = { code: Code.Canceled, rawMessage: "the client is closed" };
    clock.onPause = () => client.close();
    await assert.rejects(client.jobs.getJob({}), closed);
    await assert.rejects(watch, closed);
    await assert.rejects(client.jobs.getJob({}), closed);
    await assert.rejects(client.watchJob("id").next(), closed);
  });
}
