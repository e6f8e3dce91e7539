import assert from "node:assert/strict";
import { createServer as createHttpServer } from "node:http";
import { constants, createServer as createHttp2Server } from "node:http2";
import type { Server } from "node:net";
import { type TestContext, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { Address } from "../src/address.js";
import { createClient } from "../src/client.js";
import { TestClock } from "./clock.js";
import { type Kind, listen, node, web } from "./fake.js";

// Responses that no library would send, so they are handwritten.

/** A client of the server, with a fake clock. */
async function scene(t: TestContext, { platform }: Kind, server: Server) {
  const place = new Address(await listen(t, server));
  const clock = new TestClock();
  const client = createClient(place, {}, platform(place), clock);
  t.after(() => client.close());
  return { client, clock };
}

/** A frame of this many bytes: of a message, or with other flags. */
function frame(length: number, payload: Uint8Array = new Uint8Array(), flags = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flags);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, payload]);
}

const OK = Buffer.from("grpc-status: 0\r\n");
const HALF = frame(10, Buffer.alloc(3));

/** For each platform: a body, whether OK follows, and the expected code. */
const BODIES: [what: string, body: Buffer, hasStatus: boolean, code: Code][] = [
  ["half a message", HALF, false, Code.Unavailable],
  ["no status", frame(0), false, Code.Unavailable],
  ["nothing at all", Buffer.alloc(0), false, Code.Unavailable],
  ["OK without a message", Buffer.alloc(0), true, Code.Internal],
  ["two messages", Buffer.concat([frame(0), frame(0)]), true, Code.Internal],
  ["what is no message", frame(1, Buffer.from([0xff])), true, Code.Internal],
  ["a message of 4 GiB", frame(0xffff_ffff, Buffer.alloc(9)), false, Code.ResourceExhausted],
  ["a message of 5 MiB", frame(5 << 20, Buffer.alloc(9)), false, Code.ResourceExhausted],
];

function nodeAnswering(body: Buffer, hasStatus: boolean): Server {
  return createHttp2Server().on("stream", (stream) => {
    stream.on("error", () => {}); // The client has closed it.
    stream.respond(
      { ":status": 200, "content-type": "application/grpc+proto" },
      { waitForTrailers: hasStatus },
    );
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(body);
  });
}

function webAnswering(body: Buffer, hasStatus: boolean): Server {
  return createHttpServer((_, response) => {
    response.setHeader("content-type", "application/grpc-web+proto");
    response.end(hasStatus ? Buffer.concat([body, frame(OK.length, OK, 0x80)]) : body);
  });
}

for (const [kind, answering] of [
  [node, nodeAnswering],
  [web, webAnswering],
] as const) {
  for (const [what, body, hasStatus, code] of BODIES) {
    test(`${kind.name}: ${what} is told as ${Code[code]}`, async (t) => {
      const { client, clock } = await scene(t, kind, answering(body, hasStatus));
      await assert.rejects(client.jobs.getJob({}), { code });
      assert.equal(clock.pauses.length, code === Code.Unavailable ? 4 : 0);
    });
  }

  test(`${kind.name}: half a message is not final for a watch`, async (t) => {
    const { client, clock } = await scene(t, kind, answering(HALF, false));
    await assert.rejects(client.watchJob("id").next(), { code: Code.Unavailable });
    assert.equal(clock.pauses.length, 4);
  });
}

for (const [status, code] of [
  [401, Code.Unauthenticated],
  [403, Code.PermissionDenied],
  [404, Code.Unimplemented],
  [500, Code.Unknown],
  [503, Code.Unavailable],
] as const) {
  test(`web: HTTP ${status} is told as ${Code[code]}`, async (t) => {
    const server = createHttpServer((_, response) => response.writeHead(status).end("<html>"));
    const { client } = await scene(t, web, server);
    await assert.rejects(client.jobs.getJob({}), { code });
  });
}

for (const [reset, code] of [
  ["NO_ERROR", Code.Unavailable],
  ["REFUSED_STREAM", Code.Unavailable],
  ["CANCEL", Code.Canceled],
  ["ENHANCE_YOUR_CALM", Code.ResourceExhausted],
  ["INTERNAL_ERROR", Code.Internal],
  ["INADEQUATE_SECURITY", Code.Internal],
] as const) {
  test(`a stream that the service resets with ${reset} is told as ${Code[code]}`, async (t) => {
    const server = createHttp2Server().on("stream", (stream) => {
      stream.on("error", () => {});
      stream.close(constants[`NGHTTP2_${reset}`]);
    });
    const { client, clock } = await scene(t, node, server);
    await assert.rejects(client.jobs.getJob({}), { code });
    assert.equal(clock.pauses.length, code === Code.Unavailable ? 4 : 0);
  });
}
