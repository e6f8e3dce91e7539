import { Code, ConnectError } from "@connectrpc/connect";

/** Whether an error of Connect for Node.js means that there is no connection, or no longer. */
export function isConnectionLoss(error: unknown): boolean {
  if (!(error instanceof ConnectError) || error.metadata.has("grpc-status")) {
    return false; // The service said so itself.
  }
  // Node.js closes the streams of a connection that ended with CANCEL, and those of one that
  // broke with the error of its socket.
  return error.code === Code.Canceled || isOfConnection(error.cause);
}

function isOfConnection(cause: unknown): boolean {
  if (!(cause instanceof Error) || !("code" in cause)) {
    return false;
  }
  // Of the ways in which a service ends one stream, this one says that nothing was done.
  return cause.code !== "ERR_HTTP2_STREAM_ERROR" || cause.message.endsWith("REFUSED_STREAM");
}
