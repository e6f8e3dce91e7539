import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { rethrown } from "../rethrown.js";

/**
 * Says UNAVAILABLE of a connection that was lost or never came about, for which every transport
 * has words of its own. Of a call that was aborted, Connect says so afterwards, whatever is thrown here.
 *
 * @param isLoss tells it from what else the transport throws.
 */
export function connectionLoss(isLoss: (error: unknown) => boolean): Interceptor {
  return (next) => async (request) => {
    const told = (error: unknown) => (isLoss(error) ? unavailable(error) : error);
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

function unavailable(cause: unknown): ConnectError {
  const { rawMessage } = ConnectError.from(cause);
  return new ConnectError(
    `the connection failed: ${rawMessage}`,
    Code.Unavailable,
    undefined,
    undefined,
    cause,
  );
}
