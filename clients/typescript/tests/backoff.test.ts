import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../src/backoff.js";

test("pauses double up to 5 s, and start over", () => {
  const backoff = new Backoff();
  for (const full of [100, 200, 400, 800, 1600, 3200, 5000, 5000]) {
    const pause = backoff.next();
    assert.ok(full / 2 <= pause && pause <= full, `${pause} of ${full}`);
  }
  backoff.reset();
  assert.ok(backoff.next() <= 100);
});

test("pauses are shortened by up to a half at random", (t) => {
  for (const [random, pause] of [
    [0, 100],
    [0.5, 75],
    [1, 50],
  ] as const) {
    t.mock.method(Math, "random", () => random);
    assert.equal(new Backoff().next(), pause);
  }
});

test("a longer requested pause is kept", (t) => {
  t.mock.method(Math, "random", () => 0);
  const backoff = new Backoff();
  assert.equal(backoff.next(7_000), 7_000);
  assert.equal(backoff.next(50), 200);
  assert.equal(backoff.next(-1), 400);
});
