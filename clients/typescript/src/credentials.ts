import { base64Encode } from "@bufbuild/protobuf/wire";
import type { Interceptor } from "@connectrpc/connect";
import type { Address } from "./address.js";

/** The credentials: a token, or a username and a password, or none. */
export interface Credentials {
  /** Sent as `Bearer`: visible ASCII characters. */
  readonly token?: string | undefined;
  /** Sent as `Basic` (RFC 7617): not empty, without a colon. */
  readonly username?: string | undefined;
  /** The password of `username`. */
  readonly password?: string | undefined;
  /** Allows credentials to cross a network in plaintext. */
  readonly insecure?: boolean | undefined;
}

/**
 * Adds the credentials to each call. They are stored only in this function.
 *
 * @throws TypeError if they are malformed, or would cross a network in plaintext.
 */
export function withCredentials(credentials: Credentials, address: Address): Interceptor {
  const value = authorization(credentials);
  if (value !== undefined && !address.isTls && !address.isLoopback && !credentials.insecure) {
    throw new TypeError(
      "credentials would cross the network in plaintext: use https, or say `insecure`",
    );
  }
  return (next) => (request) => {
    if (value !== undefined) {
      request.header.set("authorization", value);
    }
    return next(request);
  };
}

function authorization({ token, username, password }: Credentials): string | undefined {
  if (token !== undefined) {
    if (username !== undefined || password !== undefined) {
      throw new TypeError("give a token, or a username and a password, but not both");
    }
    return bearer(token);
  }
  if (username === undefined && password === undefined) {
    return undefined;
  }
  if (username === undefined || password === undefined) {
    throw new TypeError("a username and a password are given together");
  }
  return basic(username, password);
}

function bearer(token: string): string {
  if (typeof token !== "string" || !/^[!-~]+$/.test(token)) {
    throw new TypeError("a token is one or more visible ASCII characters");
  }
  return `Bearer ${token}`;
}

function basic(username: string, password: string): string {
  if (typeof username !== "string" || typeof password !== "string") {
    throw new TypeError("a user's name and password are strings"); // In JavaScript they may not be.
  }
  if (username === "" || username.includes(":")) {
    throw new TypeError("a user's name is not empty and has no colon");
  }
  if (/\p{Cc}/u.test(username + password)) {
    throw new TypeError("names and passwords have no control characters");
  }
  return `Basic ${base64Encode(new TextEncoder().encode(`${username}:${password}`))}`;
}
