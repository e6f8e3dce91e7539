import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";

/** The maximum of the eight digits of `grpc-timeout`: more than 27 hours. */
const LONGEST_TIMEOUT_MS = 99_999_999;
/** Connect's value for no time limit. */
const NO_LIMIT = 0;

/**
 * The time limit in Connect's form.
 *
 * @throws TypeError if it is not a positive number.
 */
export function checkedTimeout(timeoutMs: number): number {
  if (!(timeoutMs > 0)) {
    throw new TypeError("timeoutMs is a positive number; Infinity is no limit");
  }
  return timeoutMs > LONGEST_TIMEOUT_MS ? NO_LIMIT : Math.ceil(timeoutMs);
}

/**
 * The same request. Connect would find errors in it only when it sends it, and report them as a
 * failed call.
 *
 * @throws TypeError if it cannot be sent.
 */
export function checkedRequest<T extends DescMessage>(
  schema: T,
  request: MessageInitShape<T>,
): MessageInitShape<T> {
  try {
    toBinary(schema, create(schema, request));
  } catch (cause) {
    throw new TypeError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
  return request;
}
