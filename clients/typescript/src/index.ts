import { Address } from "./address.js";
import { type Client, createClient } from "./client.js";
import type { Credentials } from "./credentials.js";
import { nodePlatform } from "./node/platform.js";
import type { TlsOptions } from "./node/sessions.js";

export { type CallOptions, Code } from "@connectrpc/connect";
export type { Client } from "./client.js";
export type { Credentials } from "./credentials.js";
export { type FieldViolation, PipewrightError } from "./error.js";
export type { LogPiece, ReadLogOptions } from "./log.js";
export type { TlsOptions } from "./node/sessions.js";
export type { JobUpdate, WatchJobOptions } from "./watch.js";

/** Options of a client. */
export interface ConnectOptions extends Credentials {
  /** For an address of https. */
  readonly tls?: TlsOptions | undefined;
}

/**
 * Creates a client of the service at the address: `https://host:port`, `http://host:port`, or
 * `host:port` for http. It speaks gRPC over HTTP/2, and connects with the first call.
 *
 * @throws TypeError if the address or the credentials are malformed, or the credentials would
 * cross a network in plaintext. Error if a certificate or key is not PEM.
 */
export function connect(address: string, options: ConnectOptions = {}): Client {
  const { tls, ...credentials } = options;
  const place = new Address(address);
  if (tls && !place.isTls) {
    throw new TypeError("TLS options are for an address of https");
  }
  return createClient(place, credentials, nodePlatform(place, tls));
}
