import { Code, ConnectError } from "@connectrpc/connect";
import { LARGEST_MESSAGE } from "../message-size.js";
import { mendStatus } from "../status.js";

/** One byte of flags and four of length precede the payload of a frame. */
const PREFIX_BYTES = 5;
const TRAILERS_FLAG = 0x80;

/**
 * Forwards a gRPC-Web body with a status that Connect can read in its trailers. The body consists
 * of frames; the last one has the trailers. Connect has no limit for a frame, so it is checked
 * here.
 */
export function mendTrailers(): TransformStream<Uint8Array, Uint8Array> {
  let rest = new Uint8Array();
  return new TransformStream({
    transform(chunk, controller) {
      rest = joined(rest, chunk);
      for (let size = sizeOfFrame(rest); size <= rest.length; size = sizeOfFrame(rest)) {
        controller.enqueue(mended(rest.subarray(0, size)));
        rest = rest.subarray(size);
      }
      if (sizeOfFrame(rest) > PREFIX_BYTES + LARGEST_MESSAGE) {
        throw new ConnectError("a message is larger than 4 MiB", Code.ResourceExhausted);
      }
    },
    // Connect reports a truncated frame.
    flush: (controller) => controller.enqueue(rest),
  });
}

function sizeOfFrame(bytes: Uint8Array<ArrayBuffer>): number {
  if (bytes.length < PREFIX_BYTES) {
    return PREFIX_BYTES;
  }
  return PREFIX_BYTES + new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
}

function mended(frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (((frame[0] ?? 0) & TRAILERS_FLAG) === 0) {
    return frame;
  }
  const lines = new TextDecoder().decode(frame.subarray(PREFIX_BYTES)).split("\r\n");
  const trailers = new Map<string, string>();
  for (const [name, value] of lines.filter((line) => line.includes(":")).map(parsed)) {
    const before = trailers.get(name);
    trailers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  mendStatus(trailers);
  const kept = [...trailers].map(([name, value]) => `${name}: ${value}\r\n`);
  return frameOfTrailers(new TextEncoder().encode(kept.join("")));
}

function parsed(line: string): [name: string, value: string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
}

function frameOfTrailers(payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const prefix = new DataView(new ArrayBuffer(PREFIX_BYTES));
  prefix.setUint8(0, TRAILERS_FLAG);
  prefix.setUint32(1, payload.length);
  return joined(new Uint8Array(prefix.buffer), payload);
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
