import { mendStatus } from "../status.js";
import { mendTrailers } from "./trailers.js";

/** `fetch()` with statuses that Connect can read, in headers and in trailers. */
export async function fetchMended(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const { body, headers: received, status } = await fetch(input, init);
  const headers = new Headers(received);
  mendStatus(headers);
  return new Response(body?.pipeThrough(mendTrailers()) ?? null, { status, headers });
}
