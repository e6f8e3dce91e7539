import assert from "node:assert/strict";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, encodeBinaryHeader } from "@connectrpc/connect";
import { StatusSchema } from "../src/google/rpc/status_pb.js";
import { connect, PipewrightError } from "../src/index.js";
import { connect as connectWeb } from "../src/web.js";
import { listen } from "./fake.js";

// Responses that no library would send, so they are handwritten.

const BROKEN = {
  "is not Base64": "!",
  "is no message": encodeBinaryHeader(new Uint8Array([0xff])),
  "says OK": encodeBinaryHeader(create(StatusSchema), StatusSchema),
  "says something else": encodeBinaryHeader(create(StatusSchema, { code: 13 }), StatusSchema),
};

for (const [what, details] of Object.entries(BROKEN)) {
  const status = {
    "grpc-status": String(Code.NotFound),
    "grpc-message": "no such job",
    "grpc-status-details-bin": details,
  };
  const isStatus = (error: unknown) =>
    error instanceof PipewrightError &&
    error.code === Code.NotFound &&
    error.rawMessage === "no such job";

  for (const place of ["headers", "trailers"]) {
    test(`Node.js: details in ${place}, where it ${what}, do not hide the status`, async (t) => {
      const server = createHttp2Server();
      server.on("stream", (stream) => {
        const headers = { ":status": 200, "content-type": "application/grpc+proto" };
        if (place === "headers") {
          stream.respond({ ...headers, ...status }, { endStream: true });
        } else {
          stream.respond(headers, { waitForTrailers: true });
          stream.on("wantTrailers", () => stream.sendTrailers(status));
          stream.end();
        }
      });
      const client = connect(await listen(t, server));
      t.after(() => client.close());
      await assert.rejects(client.jobs.getJob({}), isStatus);
      await assert.rejects(client.watchJob("id").next(), isStatus);
    });

    test(`web: details in ${place}, where it ${what}, do not hide the status`, async (t) => {
      const server = createHttpServer((_, response) => {
        response.setHeader("content-type", "application/grpc-web+proto");
        if (place === "headers") {
          response.writeHead(200, status).end();
        } else {
          writeTrailers(response, status);
        }
      });
      const client = connectWeb(await listen(t, server));
      t.after(() => client.close());
      await assert.rejects(client.jobs.getJob({}), isStatus);
      await assert.rejects(client.watchJob("id").next(), isStatus);
    });
  }
}

for (const [message, shown] of [
  ["%zz%C3%28", "%zz%C3%28"],
  ["100 %", "100 %"],
  ["r%C3%A9quired, 5%", "réquired, 5%"],
]) {
  const status = { "grpc-status": "5", "grpc-message": message };
  const expected = { code: Code.NotFound, rawMessage: shown };

  test(`Node.js: the message ${message} does not hide the status`, async (t) => {
    const server = createHttp2Server();
    server.on("stream", (stream) => {
      const headers = { ":status": 200, "content-type": "application/grpc+proto" };
      stream.respond({ ...headers, ...status }, { endStream: true });
    });
    const client = connect(await listen(t, server));
    t.after(() => client.close());
    await assert.rejects(client.jobs.getJob({}), expected);
  });

  test(`web: the message ${message} does not hide the status`, async (t) => {
    const server = createHttpServer((_, response) => {
      response.setHeader("content-type", "application/grpc-web+proto");
      writeTrailers(response, status as Record<string, string>);
    });
    const client = connectWeb(await listen(t, server));
    t.after(() => client.close());
    await assert.rejects(client.jobs.getJob({}), expected);
  });
}

/** A message without fields, and the trailers, in pieces that do not end where a frame does. */
function writeTrailers(response: NodeJS.WritableStream, trailers: Record<string, string>): void {
  const lines = Object.entries(trailers).map(([name, value]) => `${name}: ${value}\r\n`);
  const payload = Buffer.from(lines.join(""));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(payload.length);
  const body = Buffer.concat([Buffer.alloc(5), Buffer.from([0x80]), length, payload]);
  for (const at of [0, 7, 14]) {
    response.write(body.subarray(at, at === 14 ? undefined : at + 7));
  }
  response.end();
}
