import type { Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import type { Address } from "../address.js";
import type { Platform } from "../client.js";
import { systemClock } from "../clock.js";
import { LARGEST_MESSAGE } from "../message-size.js";
import { codeOf } from "./code-of.js";
import { Sessions, type TlsOptions } from "./sessions.js";

/** gRPC over HTTP/2. @throws Error if a certificate or key is not PEM. */
export function nodePlatform(
  { origin, hostPort }: Address,
  tls?: TlsOptions,
  clock = systemClock,
): Platform {
  const sessionManager = new Sessions(origin, hostPort, tls, clock);
  const reaching: Interceptor = (next) => async (request) => {
    await sessionManager.reach(request.signal);
    return next(request);
  };
  return {
    createTransport: (interceptors) =>
      createGrpcTransport({
        baseUrl: origin,
        sessionManager,
        interceptors: [...interceptors, reaching],
        readMaxBytes: LARGEST_MESSAGE,
      }),
    codeOf,
    close: () => sessionManager.abort(),
  };
}
