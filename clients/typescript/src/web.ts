import { Address } from "./address.js";
import { type Client, createClient } from "./client.js";
import type { Credentials } from "./credentials.js";
import { webPlatform } from "./web/platform.js";

export { type CallOptions, Code } from "@connectrpc/connect";
export type { Client } from "./client.js";
export type { Credentials } from "./credentials.js";
export { type FieldViolation, PipewrightError } from "./error.js";
export type { LogPiece, ReadLogOptions } from "./log.js";
export type { JobUpdate, WatchJobOptions } from "./watch.js";

/** Options of a client. The browser controls TLS, pings and windows. */
export interface ConnectOptions extends Credentials {}

/**
 * Creates a client of the service at the address: `https://host:port`, `http://host:port`, or
 * `host:port` for http. It speaks gRPC-Web with `fetch()`; the service must allow the origin of
 * the page.
 *
 * @throws TypeError if the address or the credentials are malformed, or the credentials would
 * cross a network in plaintext.
 */
export function connect(address: string, options: ConnectOptions = {}): Client {
  const place = new Address(address);
  return createClient(place, options, webPlatform(place));
}
