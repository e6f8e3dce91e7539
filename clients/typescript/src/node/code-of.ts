import { Code, ConnectError } from "@connectrpc/connect";

/** The code for an error of Node.js, which Connect maps to INTERNAL, ABORTED or UNKNOWN. */
export function codeOf(error: unknown): Code | undefined {
  const cause = error instanceof ConnectError ? error.cause : error;
  if (!(cause instanceof Error) || !("code" in cause)) {
    return undefined;
  }
  return cause.code === "ERR_HTTP2_STREAM_ERROR" ? codeOfReset(cause.message) : Code.Unavailable;
}

/** The service reset one stream; Node.js has the reason only in the message. */
function codeOfReset(message: string): Code {
  if (message.endsWith("NGHTTP2_REFUSED_STREAM")) {
    return Code.Unavailable; // REFUSED_STREAM: nothing was done.
  }
  return message.endsWith("NGHTTP2_ENHANCE_YOUR_CALM") ? Code.ResourceExhausted : Code.Internal;
}
