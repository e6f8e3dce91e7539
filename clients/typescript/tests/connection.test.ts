import assert from "node:assert/strict";
import { once } from "node:events";
import {
  constants,
  createServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { createConnection } from "node:net";
import { type TestContext, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Address } from "../src/address.js";
import { createClient } from "../src/client.js";
import { connect, PipewrightError } from "../src/index.js";
import { nodePlatform } from "../src/node/platform.js";
import { JobService } from "../src/v1.js";
import { TestClock } from "./clock.js";
import { listen } from "./fake.js";

const answers = connectNodeAdapter({
  routes: (router) => router.service(JobService, { getJob: () => ({ job: { id: "id" } }) }),
});

test("the first call connects, and all calls share a connection", async (t) => {
  const server = createServer(answers);
  let connections = 0;
  server.on("connection", () => connections++);
  const client = connect(await listen(t, server));
  t.after(() => client.close());
  assert.equal(connections, 0);
  await Promise.all([client.jobs.getJob({}), client.jobs.getJob({})]);
  await client.jobs.getJob({});
  assert.equal(connections, 1);
});

test("a call that was aborted before does not connect", async (t) => {
  const server = createServer(answers);
  let connections = 0;
  server.on("connection", () => connections++);
  const address = await listen(t, server);
  const client = connect(address);
  await assert.rejects(client.jobs.getJob({}, { signal: AbortSignal.abort() }));
  // When the server greets this connection, an earlier one would have been counted.
  const probe = createConnection(Number(new URL(`http://${address}`).port), "127.0.0.1");
  await once(probe, "data");
  assert.equal(connections, 1);
  probe.destroy();
});

test("the window of a stream is 64 KiB, of the connection 8 MiB", async (t) => {
  const server = createServer(answers);
  const session = once(server, "session");
  const client = connect(await listen(t, server));
  t.after(() => client.close());
  await client.jobs.getJob({});
  const [{ remoteSettings, state }] = (await session) as [ServerHttp2Session];
  assert.equal(remoteSettings.initialWindowSize, 64 * 1024);
  // The response used some bytes of it.
  assert.ok((state.remoteWindowSize ?? 0) > 8 * 1024 * 1024 - 100);
});

/** Opens a stream without messages, with a stopped clock. */
async function openStream(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const server = createServer();
  server.on("sessionError", () => {}); // The client went away.
  const client = connect(await listen(t, server));
  t.after(() => client.close());
  const answer = client.jobs.watchJob({})[Symbol.asyncIterator]().next();
  const [session] = (await once(server, "session")) as [ServerHttp2Session];
  const [stream] = (await once(server, "stream")) as [ServerHttp2Stream];
  stream.on("error", () => {}); // No response and no end.
  return { answer, session, client };
}

test("a connection with an open call is pinged after 30 s", async (t) => {
  const { answer, session, client } = await openStream(t);
  const ping = once(session, "ping");
  t.mock.timers.tick(30_000);
  await ping;
  client.close();
  await assert.rejects(answer, { code: Code.Canceled });
});

test("a connection is lost 20 s after a ping that was not answered", async (t) => {
  const { answer, session, client } = await openStream(t);
  t.mock.timers.tick(30_000);
  t.mock.timers.tick(20_000); // No response can arrive in between: nothing else happens.
  await assert.rejects(answer, { code: Code.Unavailable });
  // The session's own error comes later; it once ended a process that closed here.
  client.close();
  session.destroy();
});

test("a stream that the service refused is retried, one that it reset is not", async (t) => {
  for (const [code, calls] of [
    [constants.NGHTTP2_REFUSED_STREAM, 5],
    [constants.NGHTTP2_INTERNAL_ERROR, 1],
  ] as const) {
    const server = createServer();
    let received = 0;
    server.on("stream", (stream) => {
      received++;
      stream.on("error", () => {});
      stream.close(code);
    });
    const place = new Address(await listen(t, server));
    const client = createClient(place, {}, nodePlatform(place), new TestClock());
    t.after(() => client.close());
    await assert.rejects(client.jobs.getJob({}), PipewrightError);
    assert.equal(received, calls);
  }
});

/** A server that accepts a client and disconnects it immediately, this many times. */
function refusing(times: number) {
  const server = createServer(answers);
  const counted = { server, connections: 0 };
  server.prependListener("connection", (socket) => {
    if (++counted.connections <= times) {
      socket.destroy();
    }
  });
  server.on("sessionError", () => {}); // It was disconnected.
  return counted;
}

test("all calls of a client share the pause before it reconnects", async (t) => {
  t.mock.method(Math, "random", () => 0);
  const refused = refusing(Number.POSITIVE_INFINITY);
  const place = new Address(await listen(t, refused.server));
  const pausing = new TestClock();
  const client = createClient(place, {}, nodePlatform(place, undefined, pausing), new TestClock());
  t.after(() => client.close());
  const calls = Array.from({ length: 50 }, () => client.jobs.getJob({}));
  for (const { status } of await Promise.allSettled(calls)) {
    assert.equal(status, "rejected");
  }
  // Five tries of each call, but one connection for all concurrent tries.
  assert.ok(refused.connections <= 10, String(refused.connections));
  assert.deepEqual(pausing.pauses.slice(0, 1), [100]);
});

test("a connection that got a response ends the pauses", async (t) => {
  t.mock.method(Math, "random", () => 0);
  const refused = refusing(2);
  const place = new Address(await listen(t, refused.server));
  const pausing = new TestClock();
  const client = createClient(place, {}, nodePlatform(place, undefined, pausing), new TestClock());
  t.after(() => client.close());
  await client.jobs.getJob({});
  assert.deepEqual(pausing.pauses, [100, 200]);
  assert.equal(refused.connections, 3);
});

test("closing ends the pause before the client reconnects", async (t) => {
  const refused = refusing(Number.POSITIVE_INFINITY);
  const place = new Address(await listen(t, refused.server));
  const pausing = new TestClock();
  const client = createClient(place, {}, nodePlatform(place, undefined, pausing), new TestClock());
  pausing.onPause = () => client.close();
  await assert.rejects(client.jobs.getJob({}), {
    code: Code.Canceled,
    rawMessage: "the client is closed",
  });
});
