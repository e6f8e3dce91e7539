import { areDetailsSound, STATUS_DETAILS } from "../status-details.js";

/** A byte of flags and four of length go before the payload of a frame. */
const PREFIX_BYTES = 5;
const TRAILERS_FLAG = 0x80;

/**
 * Passes on a body of gRPC-Web, which is frames, the last one with the trailers, but drops broken
 * details of the status from these.
 */
export function dropBrokenDetails(): TransformStream<Uint8Array, Uint8Array> {
  let rest = new Uint8Array();
  return new TransformStream({
    transform(chunk, controller) {
      rest = joined(rest, chunk);
      for (let size = sizeOfFrame(rest); size <= rest.length; size = sizeOfFrame(rest)) {
        controller.enqueue(sound(rest.subarray(0, size)));
        rest = rest.subarray(size);
      }
    },
    // A frame that was cut is for Connect to complain of.
    flush: (controller) => controller.enqueue(rest),
  });
}

function sizeOfFrame(bytes: Uint8Array<ArrayBuffer>): number {
  if (bytes.length < PREFIX_BYTES) {
    return PREFIX_BYTES;
  }
  return PREFIX_BYTES + new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
}

function sound(frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (((frame[0] ?? 0) & TRAILERS_FLAG) === 0) {
    return frame;
  }
  const lines = new TextDecoder().decode(frame.subarray(PREFIX_BYTES)).split("\r\n");
  const details = trailer(lines, STATUS_DETAILS);
  if (details === undefined || areDetailsSound(details, trailer(lines, "grpc-status"))) {
    return frame;
  }
  const kept = lines.filter((line) => nameOf(line) !== STATUS_DETAILS);
  return frameOfTrailers(new TextEncoder().encode(kept.join("\r\n")));
}

function frameOfTrailers(payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const prefix = new DataView(new ArrayBuffer(PREFIX_BYTES));
  prefix.setUint8(0, TRAILERS_FLAG);
  prefix.setUint32(1, payload.length);
  return joined(new Uint8Array(prefix.buffer), payload);
}

function nameOf(line: string): string {
  return line.slice(0, Math.max(line.indexOf(":"), 0)).toLowerCase();
}

function trailer(lines: string[], name: string): string | undefined {
  const line = lines.find((line) => nameOf(line) === name);
  return line?.slice(name.length + 1).trim();
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
