import assert from "node:assert/strict";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { createServer as createTcpServer, type Server } from "node:net";
import { type TestContext, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { Address } from "../src/address.js";
import { type Client, createClient } from "../src/client.js";
import { PipewrightError } from "../src/index.js";
import { TestClock } from "./clock.js";
import { all, type Kind, listen, node, web } from "./fake.js";

const PAGE =
  "<!DOCTYPE html>\n<html><head><title>\n Bad\tGateway </title></head><body>no</body></html>";
const PROXY = "is there a proxy in between?";

/** The HTTP status, the content type, the body, the code and the excerpt. */
const ANSWERS: [status: number, type: string, body: string, code: Code, said: string][] = [
  [200, "text/html; charset=utf-8", PAGE, Code.Unknown, "Bad Gateway"],
  [200, "", "", Code.Unknown, ""],
  [302, "text/plain", "", Code.Unknown, ""],
  [400, "text/plain", "bad\u001b[31m\r\nmore", Code.Internal, "bad[31m"],
  [401, "application/json", "{}", Code.Unauthenticated, "{}"],
  [403, "text/html", "<html><style>a {}</style><h1>No</h1>", Code.PermissionDenied, "No"],
  [404, "text/plain", "\n \nno such page\n", Code.Unimplemented, "no such page"],
  [413, "text/html", PAGE, Code.Unknown, "Bad Gateway"],
  [429, "text/plain", "é".repeat(2000), Code.Unavailable, `${"é".repeat(79)}…`],
  [502, "text/html", PAGE, Code.Unavailable, "Bad Gateway"],
  [503, "text/html", "<title>later", Code.Unavailable, "later"],
  [504, "text/html", "", Code.Unavailable, ""],
];

type Answering = (status: number, type: string, body: string) => Server;

const answeringHttp2: Answering = (status, type, body) =>
  createHttp2Server().on("stream", (stream) => {
    stream.on("error", () => {}); // The client has had enough.
    const headers = { ":status": status, ...(type && { "content-type": type }) };
    stream.respond(headers, { endStream: body === "" });
    if (body !== "") {
      stream.end(body);
    }
  });

const answeringHttp1: Answering = (status, type, body) =>
  createHttpServer((_, response) => {
    response.writeHead(status, type === "" ? {} : { "content-type": type }).end(body);
  });

/** A client of the server for which time passes at once, with what counts its calls. */
async function scene(t: TestContext, kind: Kind, server: Server) {
  let calls = 0;
  server.on(kind === web ? "request" : "stream", () => calls++);
  const place = new Address(await listen(t, server));
  const client = createClient(place, {}, kind.platform(place), new TestClock());
  t.after(() => client.close());
  const counted = () => {
    const count = calls;
    calls = 0;
    return count;
  };
  return { client, host: place.hostPort, counted };
}

const WAYS: [way: string, isUnary: boolean, call: (client: Client) => Promise<unknown>][] = [
  ["a call", true, (client) => client.jobs.getJob({})],
  ["a watch", false, (client) => all(client.watchJob("id"))],
  ["a log", false, (client) => all(client.readLog("id", "stage"))],
];

async function failure(call: Promise<unknown>): Promise<PipewrightError> {
  const error = await call.then(
    () => assert.fail("it went well"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof PipewrightError, String(error));
  return error;
}

const FINAL = [Code.PermissionDenied, Code.Unauthenticated, Code.Unimplemented];

for (const [kind, answering] of [
  [node, answeringHttp2],
  [web, answeringHttp1],
] as const) {
  for (const [status, type, body, code, said] of ANSWERS) {
    test(`${kind.name}: HTTP ${status} (${type}) is reported as it is`, async (t) => {
      const { client, host, counted } = await scene(t, kind, answering(status, type, body));
      const shown = type.replace(/;.*/, "") || "no content type";
      const answer = `${host} answered with HTTP ${status} (${shown}), which is not gRPC: ${PROXY}`;
      const expected = said === "" ? answer : `${answer} It says: ${said}`;
      for (const [way, isUnary, call] of WAYS) {
        const error = await failure(call(client));
        assert.equal(error.rawMessage, expected, way);
        assert.equal(error.code, code, way);
        assert.equal(error.httpStatus, status, way);
        assert.equal(error.reason, "", way);
        const isRepeated = isUnary ? code === Code.Unavailable : !FINAL.includes(code);
        assert.equal(counted(), isRepeated ? 5 : 1, way);
      }
    });
  }
}

test("Node.js: an answer without a gRPC status is reported with its HTTP status", async (t) => {
  const server = answeringHttp2(200, "application/grpc", "");
  const { client, host } = await scene(t, node, server);
  for (const [way, , call] of WAYS) {
    const error = await failure(call(client));
    const expected = `${host} answered with HTTP 200 (application/grpc) without a gRPC status: ${PROXY}`;
    assert.equal(error.rawMessage, expected, way);
    assert.equal(error.code, Code.Unknown, way);
    assert.equal(error.httpStatus, 200, way);
  }
});

test("web: an answer without a gRPC status names the host", async (t) => {
  const server = answeringHttp1(200, "application/grpc-web+proto", "");
  const { client, host } = await scene(t, web, server);
  for (const [way, , call] of WAYS) {
    const error = await failure(call(client));
    assert.equal(error.rawMessage, `${host} answered without a gRPC status: ${PROXY}`, way);
    assert.equal(error.code, Code.Unavailable, way);
  }
});

test("web: a redirect that the browser hides is reported as one", async (t) => {
  t.mock.method(globalThis, "fetch", async () => ({ ...Response.error(), type: "opaqueredirect" }));
  const { client, host } = await scene(t, web, createHttpServer());
  const error = await failure(client.jobs.getJob({}));
  assert.equal(error.rawMessage, `${host} answered with a redirect, which is not gRPC: ${PROXY}`);
  assert.equal(error.code, Code.Unknown);
});

test("Node.js: a peer that does not speak HTTP/2 is named", async (t) => {
  const server = createTcpServer((socket) => {
    socket.on("error", () => {}); // The client went away.
    socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    socket.resume();
  });
  const { client, host } = await scene(t, node, server);
  for (const [way, , call] of WAYS) {
    const error = await failure(call(client));
    const expected = `${host} does not speak HTTP/2, which gRPC needs: ${PROXY}`;
    assert.equal(error.rawMessage, expected, way);
    assert.equal(error.code, Code.Unavailable, way);
    assert.equal(error.httpStatus, undefined, way);
  }
});
