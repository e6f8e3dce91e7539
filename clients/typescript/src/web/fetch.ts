import { BODY_BYTES, isForeign, NotGrpcError } from "../not-grpc.js";
import { mendStatus } from "../status.js";
import { mendTrailers } from "./trailers.js";

/**
 * `fetch()` with statuses that Connect can read, in headers and in trailers.
 *
 * @throws NotGrpcError if the answer is not gRPC.
 */
export function fetchMended(host: string): typeof globalThis.fetch {
  return async (input, init) => {
    // Connect would have a redirect fail without its status.
    const response = await fetch(input, { ...init, redirect: "manual" });
    await refuseForeign(response, host);
    const { body, headers: received, status } = response;
    const headers = new Headers(received);
    mendStatus(headers);
    return new Response(body?.pipeThrough(mendTrailers()) ?? null, { status, headers });
  };
}

async function refuseForeign({ body, headers, status, type }: Response, host: string) {
  if (type === "opaqueredirect") {
    throw NotGrpcError.ofRedirect(host);
  }
  const head = { status, contentType: headers.get("content-type") ?? undefined };
  if (!headers.has("grpc-status") && isForeign(head)) {
    throw NotGrpcError.of(host, head, await beginning(body));
  }
}

/** The beginning of a body, or what there is of it. */
async function beginning(body: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  const bytes = new Uint8Array(BODY_BYTES);
  let size = 0;
  const reader = body?.getReader();
  try {
    while (reader && size < BODY_BYTES) {
      const { done, value } = await reader.read();
      if (done) {
        break;
      }
      const part = value.subarray(0, BODY_BYTES - size);
      bytes.set(part, size);
      size += part.length;
    }
  } catch {
    // The head tells enough.
  }
  reader?.cancel().catch(() => {}); // The rest is not wanted.
  return bytes.subarray(0, size);
}
