import { createGrpcWebTransport } from "@connectrpc/connect-web";
import type { Address } from "../address.js";
import type { Platform } from "../client.js";
import { fetchSound } from "./fetch.js";

/** gRPC-Web with `fetch()`. */
export function webPlatform({ origin }: Address): Platform {
  return {
    createTransport: (interceptors) =>
      createGrpcWebTransport({ baseUrl: origin, interceptors, fetch: fetchSound }),
    // What fetch() throws where there is no connection, or no longer.
    isConnectionLoss: (error) => error instanceof TypeError,
    close: () => {}, // Connections are the browser's.
  };
}
