import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../src/google/rpc/error_details_pb.js";
import { PipewrightError } from "../src/index.js";
import { kinds, serve } from "./fake.js";

async function thrown(promise: Promise<unknown>): Promise<PipewrightError> {
  const error = await promise.then(
    () => assert.fail("it went well"),
    (error: unknown) => error,
  );
  assert.ok(error instanceof PipewrightError);
  return error;
}

const details = [
  {
    desc: ErrorInfoSchema,
    value: { reason: "INVALID_FIELDS", domain: "pipewright", metadata: { size: "5" } },
  },
  {
    desc: BadRequestSchema,
    value: { fieldViolations: [{ field: "pipeline.name", description: "is required" }] },
  },
  { desc: RetryInfoSchema, value: { retryDelay: { seconds: 1n, nanos: 500_000_000 } } },
];

for (const kind of kinds) {
  test(`${kind.name}: errors of calls and of streams tell what the service said`, async (t) => {
    const refuse = () => {
      throw new ConnectError("pipeline.name: is réquired", Code.InvalidArgument, {}, details);
    };
    const { client } = await serve(t, kind, {
      jobs: {
        getJob: refuse,
        async *watchJob() {
          yield {};
          refuse();
        },
      },
    });
    for (const error of [
      await thrown(client.jobs.getJob({})),
      await thrown(client.watchJob("id").next()),
    ]) {
      assert.equal(error.code, Code.InvalidArgument);
      assert.equal(error.rawMessage, "pipeline.name: is réquired");
      assert.equal(error.reason, "INVALID_FIELDS");
      assert.equal(error.domain, "pipewright");
      assert.deepEqual(error.info, { size: "5" });
      assert.deepEqual(error.fieldViolations, [
        { field: "pipeline.name", description: "is required" },
      ]);
      assert.equal(error.retryDelayMs, 1500);
    }
  });

  test(`${kind.name}: an error without details has empty ones`, async (t) => {
    const { client } = await serve(t, kind, {});
    const error = await thrown(client.jobs.getJob({}));
    assert.equal(error.code, Code.Unimplemented);
    const { reason, domain, info, fieldViolations, retryDelayMs } = error;
    assert.deepEqual(
      { reason, domain, info, fieldViolations, retryDelayMs },
      { reason: "", domain: "", info: {}, fieldViolations: [], retryDelayMs: undefined },
    );
  });

  test(`${kind.name}: a detail that cannot be read hides neither the status nor others`, async (t) => {
    const { client } = await serve(t, kind, {
      jobs: {
        getJob() {
          const error = new ConnectError("no", Code.NotFound, undefined, details.slice(0, 1));
          const type = BadRequestSchema.typeName;
          error.details.push({ type, value: new Uint8Array([0xff]) });
          throw error;
        },
      },
    });
    const error = await thrown(client.jobs.getJob({}));
    assert.equal(error.code, Code.NotFound);
    assert.equal(error.reason, "INVALID_FIELDS");
    assert.deepEqual(error.fieldViolations, []);
  });
}

test("errors are recognized by instanceof", () => {
  const plain = new ConnectError("no", Code.NotFound);
  const error = PipewrightError.from(plain);
  assert.ok(error instanceof ConnectError);
  assert.ok(error instanceof Error);
  assert.ok(!(plain instanceof PipewrightError));
  assert.equal(ConnectError.from(error), error);
  assert.equal(PipewrightError.from(error), error);
  assert.equal(PipewrightError.from(new TypeError("oh"), Code.Internal).code, Code.Internal);
});
