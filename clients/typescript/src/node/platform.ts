import { createGrpcTransport } from "@connectrpc/connect-node";
import type { Address } from "../address.js";
import type { Platform } from "../client.js";
import { isConnectionLoss } from "./connection-loss.js";
import { Sessions, type TlsOptions } from "./sessions.js";

/** gRPC over HTTP/2. @throws Error if a certificate or key is not PEM. */
export function nodePlatform({ origin }: Address, tls?: TlsOptions): Platform {
  const sessionManager = new Sessions(origin, tls);
  return {
    createTransport: (interceptors) =>
      createGrpcTransport({ baseUrl: origin, sessionManager, interceptors }),
    isConnectionLoss,
    close: () => sessionManager.abort(),
  };
}
