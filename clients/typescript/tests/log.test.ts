import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { LogPiece } from "../src/index.js";
import {
  LogGap_Reason,
  type ReadStageLogRequest,
  type ReadStageLogResponseSchema,
} from "../src/v1.js";
import { all, kinds, serve } from "./fake.js";
import { breaking, hanging, type Script, scripted, sending, silent } from "./scripts.js";

type Message = MessageInitShape<typeof ReadStageLogResponseSchema>;

const chunk = (offset: bigint, text: string): Message => ({
  attempt: 2,
  nextOffset: offset + BigInt(text.length),
  payload: { case: "chunk", value: { offset, data: Buffer.from(text) } },
});
const gap = (startOffset: bigint, endOffset: bigint): Message => ({
  attempt: 2,
  nextOffset: endOffset,
  payload: { case: "gap", value: { startOffset, endOffset, reason: LogGap_Reason.SIZE_LIMIT } },
});
const heartbeat = (nextOffset: bigint): Message => ({
  attempt: 2,
  nextOffset,
  payload: { case: "heartbeat", value: {} },
});
const end = (nextOffset: bigint): Message => ({
  attempt: 2,
  nextOffset,
  payload: { case: "end", value: { sizeBytes: nextOffset } },
});

function shown({ offset, bytes, gap }: LogPiece): string {
  return gap
    ? `gap ${gap.startOffset}-${gap.endOffset}`
    : `${offset} ${Buffer.from(bytes).toString()}`;
}

function places(requests: ReadStageLogRequest[]): (number | bigint)[][] {
  return requests.map(({ attempt, offset, limitBytes }) => [attempt, offset, limitBytes]);
}

for (const kind of kinds) {
  const scene = async (t: Parameters<typeof serve>[0], ...scripts: Script<Message>[]) => {
    const { play, requests } = scripted<ReadStageLogRequest, Message>(...scripts);
    const world = await serve(t, kind, { jobs: { readStageLog: play } });
    return { ...world, requests };
  };

  test(`${kind.name}: a log is bytes with their offset, and gaps`, async (t) => {
    const { client, requests } = await scene(
      t,
      sending(chunk(0n, "one\n"), heartbeat(4n), gap(4n, 9n), chunk(9n, "two\n"), end(13n)),
    );
    const pieces = await all(client.readLog("id", "build", { follow: true }));
    assert.deepEqual(pieces.map(shown), ["0 one\n", "gap 4-9", "9 two\n"]);
    assert.equal(pieces[1]?.gap?.reason, LogGap_Reason.SIZE_LIMIT);
    const [{ jobId, stageName, follow } = assert.fail()] = requests;
    assert.deepEqual(
      { jobId, stageName, follow },
      { jobId: "id", stageName: "build", follow: true },
    );
    assert.deepEqual(places(requests), [[0, 0n, 0n]]);
  });

  test(`${kind.name}: what is asked for is sent`, async (t) => {
    const { client, requests } = await scene(t, sending(chunk(5n, "abc")));
    await all(client.readLog("id", "build", { attempt: 3, offset: 5n, limitBytes: 7n }));
    assert.deepEqual(places(requests), [[3, 5n, 7n]]);
    assert.equal(requests[0]?.follow, false);
  });

  test(`${kind.name}: a log resumes by the attempt and the offset of the last message`, async (t) => {
    const { client, requests } = await scene(
      t,
      breaking(Code.Internal, chunk(0n, "abc")),
      breaking(Code.Unavailable, gap(3n, 10n)),
      breaking(Code.Unavailable, heartbeat(10n)),
      sending(chunk(10n, "def")),
    );
    const pieces = await all(client.readLog("id", "build"));
    assert.deepEqual(pieces.map(shown), ["0 abc", "gap 3-10", "10 def"]);
    assert.deepEqual(places(requests), [
      [0, 0n, 0n],
      [2, 3n, 0n],
      [2, 10n, 0n],
      [2, 10n, 0n],
    ]);
  });

  test(`${kind.name}: an offset from the end is known after the first message`, async (t) => {
    const { client, requests } = await scene(
      t,
      breaking(Code.Unavailable),
      breaking(Code.Unavailable, chunk(95n, "abc")),
      sending(chunk(98n, "de")),
    );
    const pieces = await all(client.readLog("id", "build", { offset: -5n }));
    assert.deepEqual(pieces.map(shown), ["95 abc", "98 de"]);
    assert.deepEqual(
      requests.map(({ offset }) => offset),
      [-5n, -5n, 98n],
    );
  });

  test(`${kind.name}: what is repeated is cut off`, async (t) => {
    const { client, requests } = await scene(
      t,
      breaking(Code.Unavailable, chunk(0n, "abcd")),
      breaking(Code.Unavailable, chunk(0n, "ab"), chunk(2n, "cdef"), gap(1n, 6n), gap(5n, 8n)),
      sending(chunk(8n, "g")),
    );
    const pieces = await all(client.readLog("id", "build"));
    assert.deepEqual(pieces.map(shown), ["0 abcd", "4 ef", "gap 6-8", "8 g"]);
    assert.deepEqual(
      requests.map(({ offset }) => offset),
      [0n, 4n, 8n],
    );
  });

  test(`${kind.name}: bytes that are missing reconnect`, async (t) => {
    const { client, requests } = await scene(
      t,
      hanging(chunk(0n, "abc"), chunk(5n, "fg")),
      hanging(gap(4n, 5n)),
      sending(chunk(3n, "de")),
    );
    const pieces = await all(client.readLog("id", "build"));
    assert.deepEqual(pieces.map(shown), ["0 abc", "3 de"]);
    assert.deepEqual(
      requests.map(({ offset }) => offset),
      [0n, 3n, 3n],
    );
  });

  test(`${kind.name}: a limit is of bytes alone, and what is left is asked for`, async (t) => {
    const { client, requests } = await scene(
      t,
      breaking(Code.Unavailable, chunk(0n, "abc"), gap(3n, 100n)),
      breaking(Code.Unavailable, chunk(100n, "de")),
    );
    const pieces = await all(client.readLog("id", "build", { limitBytes: 5n }));
    assert.deepEqual(pieces.map(shown), ["0 abc", "gap 3-100", "100 de"]);
    assert.deepEqual(places(requests), [
      [0, 0n, 5n],
      [2, 100n, 2n],
    ]);
  });

  test(`${kind.name}: an offset past the end is final`, async (t) => {
    const { client, requests } = await scene(
      t,
      breaking(Code.Unavailable, chunk(0n, "abc")),
      breaking(Code.OutOfRange),
    );
    await assert.rejects(all(client.readLog("id", "build")), { code: Code.OutOfRange });
    assert.equal(requests.length, 2);
  });

  test(`${kind.name}: OK is the end of a log`, async (t) => {
    const { client, clock, requests } = await scene(t, sending());
    assert.deepEqual(await all(client.readLog("id", "build")), []);
    assert.equal(requests.length, 1);
    assert.deepEqual(clock.pauses, []);
  });

  test(`${kind.name}: OK without the end is none for one who follows without a limit`, async (t) => {
    const { client, requests } = await scene(
      t,
      sending(chunk(0n, "abc")),
      sending(chunk(3n, "de"), end(5n)),
      sending(chunk(0n, "abc")),
    );
    const pieces = await all(client.readLog("id", "build", { follow: true }));
    assert.deepEqual(pieces.map(shown), ["0 abc", "3 de"]);
    assert.equal(requests.length, 2);
    await all(client.readLog("id", "build", { follow: true, limitBytes: 9n }));
    assert.equal(requests.length, 3);
  });

  test(`${kind.name}: silence of 45 s reconnects a log`, async (t) => {
    const first = silent(chunk(0n, "abc"));
    const { client, clock } = await scene(t, first.script, sending(chunk(3n, "de")));
    clock.silent = { 2: first.reached };
    const pieces = await all(client.readLog("id", "build"));
    assert.deepEqual(pieces.map(shown), ["0 abc", "3 de"]);
    assert.equal(clock.silences[0], 45_000);
  });

  test(`${kind.name}: a log goes on over a connection that was cut`, async (t) => {
    const { client, cut, requests } = await scene(
      t,
      hanging(chunk(0n, "abc")),
      sending(chunk(3n, "de"), end(5n)),
    );
    const pieces: string[] = [];
    for await (const piece of client.readLog("id", "build", { follow: true })) {
      pieces.push(shown(piece));
      if (piece.offset === 0n) {
        cut("reset");
      }
    }
    assert.deepEqual(pieces, ["0 abc", "3 de"]);
    assert.equal(requests[1]?.follow, true);
  });

  test(`${kind.name}: leaving the loop or aborting ends the reading of a log`, async (t) => {
    const { client } = await scene(t, hanging(chunk(0n, "abc")), hanging(chunk(0n, "abc")));
    for await (const _ of client.readLog("id", "build")) {
      break;
    }
    const abort = new AbortController();
    const pieces = client.readLog("id", "build", { signal: abort.signal });
    await pieces.next();
    abort.abort();
    await assert.rejects(pieces.next(), { code: Code.Canceled });
  });
}
