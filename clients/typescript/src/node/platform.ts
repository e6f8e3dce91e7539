import { createGrpcTransport } from "@connectrpc/connect-node";
import type { Address } from "../address.js";
import type { Platform } from "../client.js";
import { LARGEST_MESSAGE } from "../message-size.js";
import { codeOf } from "./code-of.js";
import { Sessions, type TlsOptions } from "./sessions.js";

/** gRPC over HTTP/2. @throws Error if a certificate or key is not PEM. */
export function nodePlatform({ origin }: Address, tls?: TlsOptions): Platform {
  const sessionManager = new Sessions(origin, tls);
  return {
    createTransport: (interceptors) =>
      createGrpcTransport({
        baseUrl: origin,
        sessionManager,
        interceptors,
        readMaxBytes: LARGEST_MESSAGE,
      }),
    codeOf,
    close: () => sessionManager.abort(),
  };
}
