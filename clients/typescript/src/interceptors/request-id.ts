import { clone, type DescMessage, type Message } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { isOfRunners } from "../of-runners.js";

/**
 * Sets an id for each call that changes something, the same for all its tries, unless the caller
 * set one or the call is `validate_only`. The caller's own message is not changed.
 */
export const requestId: Interceptor = (next) => (request) => {
  if (request.stream || isOfRunners(request.service) || !needsId(request.message)) {
    return next(request);
  }
  return next({ ...request, message: withId(request.method.input, request.message) });
};

type Identified = Message & { requestId: string; validateOnly?: boolean };

function needsId(message: Message): boolean {
  const { requestId, validateOnly } = message as Partial<Identified>;
  return requestId === "" && validateOnly !== true;
}

function withId(schema: DescMessage, message: Message): Message {
  const copy = clone(schema, message) as Identified;
  copy.requestId = uuid();
  return copy;
}

/** Version 4. `crypto.randomUUID()` is not available to pages that were loaded over plain http. */
function uuid(): string {
  const digits = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte, index) => {
    const value = index === 6 ? (byte & 0x0f) | 0x40 : index === 8 ? (byte & 0x3f) | 0x80 : byte;
    return value.toString(16).padStart(2, "0");
  }).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
