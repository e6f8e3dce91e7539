import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import type { HandlerContext } from "@connectrpc/connect";
import { type ConnectOptions, connect, PipewrightError } from "../src/index.js";
import { connect as connectWeb } from "../src/web.js";
import { kinds, node, serve } from "./fake.js";

const SECRET = "open sesame";

for (const kind of kinds) {
  const connectTo = kind === node ? connect : connectWeb;

  test(`${kind.name}: calls and streams carry the credentials`, async (t) => {
    const sent: (string | null)[] = [];
    const note = (context: HandlerContext) => sent.push(context.requestHeader.get("authorization"));
    const { address } = await serve(t, kind, {
      jobs: {
        getJob: (_, context) => {
          note(context);
          return {};
        },
        async *readStageLog(_, context) {
          note(context);
        },
      },
    });
    for (const options of [
      {},
      { token: "t0k-_.~+/=" },
      { username: "Aladdin", password: SECRET },
      { username: "test", password: "123£" },
    ]) {
      const client = connectTo(address, options);
      await client.jobs.getJob({});
      for await (const _ of client.readLog("", "")) {
      }
      client.close();
    }
    const twice = (value: string | null) => [value, value];
    assert.deepEqual(sent, [
      ...twice(null),
      ...twice("Bearer t0k-_.~+/="),
      ...twice("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
      ...twice("Basic dGVzdDoxMjPCow=="),
    ]);
  });

  test(`${kind.name}: credentials do not cross a network in plaintext`, () => {
    for (const credentials of [{ token: "secret" }, { username: "me", password: "secret" }]) {
      assert.throws(
        () => connectTo("http://ci.test", credentials),
        (error: Error) => error instanceof TypeError && !error.message.includes("secret"),
      );
      for (const [address, options] of [
        ["http://ci.test", { ...credentials, insecure: true }],
        ["https://ci.test", credentials],
        ["127.0.0.1:1", credentials],
        ["localhost:1", credentials],
        ["[::1]:1", credentials],
      ] as const) {
        connectTo(address, options).close();
      }
    }
  });

  test(`${kind.name}: malformed credentials are refused`, () => {
    const malformed: ConnectOptions[] = [
      { token: "" },
      { token: null as unknown as string },
      { username: null as unknown as string, password: "secret" },
      { username: "a", password: null as unknown as string },
      { token: "a secret" },
      { token: "secret\n" },
      { token: "a", username: "b", password: "c" },
      { username: "secret" },
      { password: "secret" },
      { username: "", password: "secret" },
      { username: "a:b", password: "secret" },
      { username: "a", password: "secret\u0000" },
    ];
    for (const options of malformed) {
      assert.throws(
        () => connectTo("127.0.0.1:1", options),
        (error: Error) => error instanceof TypeError && !/secret/.test(error.message + error.stack),
        inspect(options),
      );
    }
  });

  test(`${kind.name}: a password may be long`, () => {
    connectTo("127.0.0.1:1", { username: "a", password: "é".repeat(200_000) }).close();
  });

  test(`${kind.name}: neither a client nor an error shows the credentials`, async (t) => {
    const { address } = await serve(t, kind, {});
    const client = connectTo(address, { username: "Aladdin", password: SECRET });
    const error = await client.jobs.getJob({}).catch((error) => error);
    assert.ok(error instanceof PipewrightError);
    for (const shown of [client, error]) {
      const text = inspect(shown, { depth: Infinity, showHidden: true });
      assert.doesNotMatch(text, /sesame|QWxhZGRpbjpvcGVuIHNlc2FtZQ/);
    }
    client.close();
  });
}
