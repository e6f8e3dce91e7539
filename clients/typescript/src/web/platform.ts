import { Code } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import type { Address } from "../address.js";
import type { Platform } from "../client.js";
import { fetchMended } from "./fetch.js";

/** gRPC-Web with `fetch()`. */
export function webPlatform({ origin, hostPort }: Address): Platform {
  return {
    createTransport: (interceptors) =>
      createGrpcWebTransport({ baseUrl: origin, interceptors, fetch: fetchMended(hostPort) }),
    // What fetch() throws where there is no connection, or no longer.
    codeOf: (error) => (error instanceof TypeError ? Code.Unavailable : undefined),
    close: () => {}, // The browser owns the connections.
  };
}
