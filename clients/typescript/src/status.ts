import { decodeBinaryHeader } from "@connectrpc/connect";
import { StatusSchema } from "./google/rpc/status_pb.js";

const CODE = "grpc-status";
const MESSAGE = "grpc-message";
/** Connect prefers it to the code and the message. */
const DETAILS = "grpc-status-details-bin";

/** The fields of a status, in headers or trailers. */
export interface StatusFields {
  get(name: string): string | null | undefined;
  set(name: string, value: string): unknown;
  delete(name: string): unknown;
}

/** Fixes a message and drops details that Connect cannot read: they must not hide the status. */
export function mendStatus(fields: StatusFields): void {
  const message = fields.get(MESSAGE);
  if (message) {
    fields.set(MESSAGE, readable(message));
  }
  const details = fields.get(DETAILS);
  if (typeof details === "string" && !areSound(details, fields.get(CODE))) {
    fields.delete(DETAILS);
  }
}

/** The message; invalid escapes are kept literally, as gRPC does. */
function readable(message: string): string {
  return message.replace(/(?:%[0-9a-f]{2})+|%/gi, (escapes) =>
    isDecodable(escapes) ? escapes : escapes.replaceAll("%", "%25"),
  );
}

function isDecodable(escapes: string): boolean {
  try {
    decodeURIComponent(escapes);
    return true;
  } catch {
    return false;
  }
}

/** Whether the details can be read and say the same as the code. */
function areSound(details: string, code: string | null | undefined): boolean {
  try {
    return decodeBinaryHeader(details, StatusSchema).code === Number(code);
  } catch {
    return false;
  }
}
