import assert from "node:assert/strict";
import { test } from "node:test";
import { Address } from "../src/address.js";

test("addresses have a scheme and a port or get them", () => {
  for (const [text, origin, isTls] of [
    ["127.0.0.1:1", "http://127.0.0.1:1", false],
    ["ci.test", "http://ci.test", false],
    ["http://ci.test:2/", "http://ci.test:2", false],
    ["https://ci.test", "https://ci.test", true],
    ["https://ci.test:443", "https://ci.test", true],
    ["https://CI.test:8443", "https://ci.test:8443", true],
    ["[::1]:3", "http://[::1]:3", false],
  ] as const) {
    const address = new Address(text);
    assert.equal(address.origin, origin);
    assert.equal(address.isTls, isTls);
  }
});

test("invalid addresses are refused", () => {
  for (const text of [
    "",
    "http://",
    "a b",
    "ci.test:port",
    "ci.test:65536",
    "ftp://ci.test",
    "https://ci.test/path",
    "https://ci.test?q",
    "https://ci.test#f",
    "https:\\\\ci.test",
  ]) {
    assert.throws(() => new Address(text), TypeError, text);
  }
});

test("credentials in an address are refused and not repeated", () => {
  for (const text of ["https://me:secret@ci.test", "me:secret@ci.test", "secret@ci.test:1/x"]) {
    assert.throws(
      () => new Address(text),
      (error: Error) => error instanceof TypeError && !/secret/.test(error.message + error.stack),
    );
  }
});

test("only what cannot leave the machine is loopback", () => {
  for (const text of [
    "127.0.0.1:1",
    "127.9.9.9:1",
    "[::1]:1",
    "LocalHost:1",
    "[::ffff:127.0.0.1]:1",
    "https://localhost",
  ]) {
    assert.ok(new Address(text).isLoopback, text);
  }
  for (const text of [
    "0.0.0.0:1",
    "10.0.0.1:1",
    "[::2]:1",
    "[::ffff:10.0.0.1]:1",
    "localhost.test:1",
    "127.0.0.1.test:1",
    "ci.test:1",
  ]) {
    assert.ok(!new Address(text).isLoopback, text);
  }
});
