import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { BODY_BYTES, isForeign, NotGrpcError, notHttp2 } from "../not-grpc.js";

/**
 * Has a call whose answer is not gRPC fail with what the answer is. Connect would fail it as soon
 * as it hears of the response, so the event is withheld until the beginning of the body is read.
 *
 * @param speaksHttp2 tells whether the peer has sent its settings.
 */
export function reportForeign(
  stream: ClientHttp2Stream,
  host: string,
  speaksHttp2: () => boolean,
): void {
  const emit = stream.emit.bind(stream);
  stream.emit = (event: string | symbol, ...args: unknown[]) => {
    if (event === "error" && isProtocolError(args[0]) && !speaksHttp2()) {
      return emit(event, new ConnectError(notHttp2(host), Code.Unavailable));
    }
    if (event !== "response") {
      return emit(event, ...args);
    }
    const [headers, flags] = args as [IncomingHttpHeaders & { ":status"?: number }, number];
    const contentType = headers["content-type"];
    const head = { status: headers[":status"] ?? 0, contentType };
    const isOver = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    if ("grpc-status" in headers || !(isOver || isForeign(head))) {
      return emit(event, ...args);
    }
    readBody(stream, (body) => emit("error", NotGrpcError.of(host, head, body)));
    return true;
  };
}

function isProtocolError(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_HTTP2_ERROR";
}

/** Reads the beginning of a body, or what there is of it. */
function readBody(stream: ClientHttp2Stream, done: (body: Uint8Array) => void): void {
  const chunks: Buffer[] = [];
  let size = 0;
  const finish = () => {
    stream.off("data", read).off("end", finish).off("aborted", finish);
    done(Buffer.concat(chunks).subarray(0, BODY_BYTES));
  };
  const read = (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= BODY_BYTES) {
      finish();
    }
  };
  stream.on("data", read).once("end", finish).once("aborted", finish);
}
