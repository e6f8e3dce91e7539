import { areDetailsSound, STATUS_DETAILS } from "../status-details.js";
import { dropBrokenDetails } from "./trailers.js";

/** `fetch()` without broken details of a status, in headers and in trailers. */
export async function fetchSound(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const { body, headers: received, status } = await fetch(input, init);
  const headers = new Headers(received);
  const details = headers.get(STATUS_DETAILS);
  if (details !== null && !areDetailsSound(details, headers.get("grpc-status"))) {
    headers.delete(STATUS_DETAILS);
  }
  return new Response(body?.pipeThrough(dropBrokenDetails()) ?? null, { status, headers });
}
