import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createSecureServer, type SecureServerOptions } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { TLSSocket } from "node:tls";
import { Code } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Address } from "../src/address.js";
import { createClient } from "../src/client.js";
import { connect, type TlsOptions } from "../src/index.js";
import { nodePlatform } from "../src/node/platform.js";
import { JobService } from "../src/v1.js";
import { TestClock } from "./clock.js";
import { listen } from "./fake.js";

const directory = mkdtempSync(join(tmpdir(), "pipewright-tls-"));
after(() => rmSync(directory, { recursive: true }));

const openssl = (...args: string[]) =>
  execFileSync("openssl", args, { cwd: directory, stdio: ["ignore", "ignore", "pipe"] });
const pem = (name: string) => readFileSync(join(directory, name), "utf8");

/** A certificate of the authority, for a name. */
function issue(name: string): { cert: string; key: string } {
  writeFileSync(join(directory, "names"), `subjectAltName=DNS:${name}`);
  openssl(
    "req",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-subj",
    `/CN=${name}`,
    "-keyout",
    "key",
    "-out",
    "request",
  );
  openssl(
    "x509",
    "-req",
    "-in",
    "request",
    "-CA",
    "ca",
    "-CAkey",
    "ca-key",
    "-CAcreateserial",
    "-extfile",
    "names",
    "-out",
    "cert",
  );
  return { cert: pem("cert"), key: pem("key") };
}

openssl(
  "req",
  "-x509",
  "-newkey",
  "ec",
  "-pkeyopt",
  "ec_paramgen_curve:prime256v1",
  "-nodes",
  "-subj",
  "/CN=authority",
  "-keyout",
  "ca-key",
  "-out",
  "ca",
);
const ca = pem("ca");
const service = issue("ci.test");
const caller = issue("caller");

/** Calls a service with TLS; returns the name in the caller's certificate. */
async function callerOf(t: TestContext, options: TlsOptions, settings: SecureServerOptions = {}) {
  let name: string | string[] | undefined;
  const answer = connectNodeAdapter({
    routes: (router) => router.service(JobService, { getJob: () => ({}) }),
  });
  const server = createSecureServer({ ...service, ...settings }, (request, response) => {
    const { socket } = request.stream.session ?? {};
    name = socket instanceof TLSSocket ? socket.getPeerCertificate().subject?.CN : undefined;
    answer(request, response);
  });
  const place = new Address(`https://${await listen(t, server)}`);
  const client = createClient(place, {}, nodePlatform(place, options), new TestClock());
  t.after(() => client.close());
  await client.jobs.getJob({});
  return name;
}

test("a service is trusted by a given authority and the name in its certificate", async (t) => {
  assert.equal(await callerOf(t, { ca, servername: "ci.test" }), undefined);
});

test("a service of another authority or name is not trusted", async (t) => {
  for (const options of [{}, { servername: "ci.test" }, { ca }, { ca, servername: "cd.test" }]) {
    await assert.rejects(callerOf(t, options), { code: Code.Unavailable });
  }
});

test("a client shows its certificate", async (t) => {
  const settings = { ca, requestCert: true, rejectUnauthorized: true };
  const options = { ca, servername: "ci.test" };
  assert.equal(await callerOf(t, { ...options, ...caller }, settings), "caller");
  await assert.rejects(callerOf(t, options, settings), { code: Code.Unavailable });
});

test("invalid PEM, and TLS options without TLS, are refused immediately", () => {
  assert.throws(() => connect("https://ci.test", { tls: { ca: "no" } }));
  assert.throws(() => connect("https://ci.test", { tls: { cert: "no", key: "no" } }));
  assert.throws(() => connect("https://ci.test", { tls: { cert: caller.cert, key: service.key } }));
  assert.throws(() => connect("http://ci.test", { tls: { ca } }), TypeError);
});
