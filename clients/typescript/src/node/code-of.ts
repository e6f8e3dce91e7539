import { Code, ConnectError } from "@connectrpc/connect";

/** What an error of Node.js means, of which Connect says INTERNAL, ABORTED or UNKNOWN. */
export function codeOf(error: unknown): Code | undefined {
  const cause = error instanceof ConnectError ? error.cause : error;
  if (!(cause instanceof Error) || !("code" in cause)) {
    return undefined;
  }
  return cause.code === "ERR_HTTP2_STREAM_ERROR" ? codeOfReset(cause.message) : Code.Unavailable;
}

/** The service ended one stream; Node.js has the reason in words only. */
function codeOfReset(message: string): Code {
  if (message.endsWith("NGHTTP2_REFUSED_STREAM")) {
    return Code.Unavailable; // The one that says that nothing was done.
  }
  return message.endsWith("NGHTTP2_ENHANCE_YOUR_CALM") ? Code.ResourceExhausted : Code.Internal;
}
