import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { NotGrpcError, withoutStatus } from "../not-grpc.js";
import { rethrown } from "../rethrown.js";

/** Codes of Connect's own errors that are right: for a reset stream, a limit or an HTTP status. */
const KEPT: ReadonlySet<Code> = new Set([
  Code.Canceled,
  Code.ResourceExhausted,
  Code.Unavailable,
  Code.Unauthenticated,
  Code.PermissionDenied,
]);

/**
 * Sets UNAVAILABLE if the connection or a response was cut, and INTERNAL if the response is
 * invalid. Connect has codes for these that look like the service's own, such as
 * INVALID_ARGUMENT for half a message. For an aborted call Connect reports the abort afterwards,
 * whatever is thrown here.
 *
 * @param host the host and the port of the service, for messages.
 * @param codeOf tells what an error of the platform means, if it is one.
 */
export function ownErrors(host: string, codeOf: (error: unknown) => Code | undefined): Interceptor {
  const told = (error: unknown) =>
    isOfService(error) || error instanceof NotGrpcError ? error : own(host, error, codeOf(error));
  return (next) => async (request) => {
    try {
      const response = await next(request);
      return response.stream
        ? { ...response, message: rethrown(response.message, told) }
        : response;
    } catch (error) {
      throw told(error);
    }
  };
}

/** Whether the service itself sent the error. */
export function isOfService(error: unknown): boolean {
  return error instanceof ConnectError && error.metadata.has("grpc-status");
}

function own(host: string, cause: unknown, known: Code | undefined): ConnectError {
  const { code, rawMessage } = ConnectError.from(cause);
  const told =
    known ?? (isCut(rawMessage) ? Code.Unavailable : KEPT.has(code) ? code : Code.Internal);
  return new ConnectError(messageOf(host, rawMessage, known), told, undefined, undefined, cause);
}

function messageOf(host: string, message: string, known: Code | undefined): string {
  if (known === Code.Unavailable) {
    return `the connection failed: ${message}`;
  }
  return /missing (status|trailer)$/.test(message) ? withoutStatus(host) : message;
}

/** Connect has no code of its own for a truncated response. */
function isCut(message: string): boolean {
  return /incomplete envelope|missing (status|trailer)$/.test(message);
}
