import { type Client, Code } from "@connectrpc/connect";
import type {
  JobService,
  LogChunk,
  LogGap,
  ReadStageLogResponse,
} from "./gen/pipewright/v1/job_service_pb.js";
import { missing, type Source } from "./resume.js";

/** Three missed heartbeats of 15 s. */
const SILENCE_MS = 45_000;

/** Options of reading a log. */
export interface ReadLogOptions {
  /** Attempt at the stage, from 1; the newest if it is not set. */
  readonly attempt?: number | undefined;
  /** First byte wanted; a negative number counts from the end. */
  readonly offset?: bigint | undefined;
  /** Stop after this many bytes; no limit if it is not set, or 0n. */
  readonly limitBytes?: bigint | undefined;
  /** Wait for more until the stage is over. */
  readonly follow?: boolean | undefined;
  /** Ends the reading. */
  readonly signal?: AbortSignal | undefined;
}

/** A piece of a log: bytes as the command wrote them, or a gap of bytes that are not stored. */
export type LogPiece =
  | {
      /** The position of the bytes in the log. */
      readonly offset: bigint;
      /** 1 byte to 64 KiB, cut anywhere: within lines and characters, too. */
      readonly bytes: Uint8Array;
      readonly gap?: never;
    }
  | {
      readonly offset?: never;
      readonly bytes?: never;
      /** Its start, its end and the reason. */
      readonly gap: LogGap;
    };

/** The log of an attempt at a stage, in order, each byte once. */
export class Log implements Source<ReadStageLogResponse, LogPiece> {
  readonly silenceMs = SILENCE_MS;
  readonly finalCodes = [Code.OutOfRange];
  isOver = false;
  readonly #jobs: Client<typeof JobService>;
  readonly #request: {
    readonly jobId: string;
    readonly stageName: string;
    readonly follow: boolean;
    attempt: number;
    offset: bigint;
    limitBytes: bigint;
  };

  constructor(
    jobs: Client<typeof JobService>,
    jobId: string,
    stageName: string,
    { attempt = 0, offset = 0n, limitBytes = 0n, follow = false }: ReadLogOptions,
  ) {
    if (limitBytes < 0n) {
      throw new TypeError("limitBytes is 0 or more");
    }
    this.#jobs = jobs;
    this.#request = { jobId, stageName, attempt, offset, limitBytes, follow };
  }

  open(signal: AbortSignal): AsyncIterable<ReadStageLogResponse> {
    return this.#jobs.readStageLog(this.#request, { signal });
  }

  *accept({ attempt, nextOffset, payload }: ReadStageLogResponse): Generator<LogPiece> {
    const expected = this.#request.offset;
    const begins = offsetOf(payload);
    // A negative offset counts from the end: the first message has the position.
    if (expected >= 0n && begins !== undefined && begins > expected) {
      throw missing(`bytes of the log are missing from offset ${expected}`);
    }
    this.#request.attempt = attempt;
    if (nextOffset > expected) {
      this.#request.offset = nextOffset;
    }
    if (payload.case === "chunk") {
      yield* this.#take(payload.value, expected);
    } else if (payload.case === "gap") {
      yield* skipped(payload.value, expected);
    } else if (payload.case === "end") {
      this.isOver = true;
    }
  }

  /** OK is the end, unless the reader follows without a limit: that ends only with the stage. */
  async finish(): Promise<LogPiece[]> {
    if (this.#request.follow && this.#request.limitBytes === 0n) {
      throw missing("the log ended before the stage");
    }
    return [];
  }

  /** Yields the new bytes, and counts them towards the limit. */
  *#take({ offset, data }: LogChunk, expected: bigint): Generator<LogPiece> {
    const had = expected > offset ? Number(expected - offset) : 0;
    const bytes = data.subarray(had);
    if (bytes.length === 0) {
      return;
    }
    const { limitBytes } = this.#request;
    if (limitBytes > 0n) {
      this.#request.limitBytes -= BigInt(bytes.length);
      this.isOver = this.#request.limitBytes <= 0n;
    }
    yield { offset: offset + BigInt(had), bytes };
  }
}

function offsetOf(payload: ReadStageLogResponse["payload"]): bigint | undefined {
  switch (payload.case) {
    case "chunk":
      return payload.value.offset;
    case "gap":
      return payload.value.startOffset;
    default:
      return undefined;
  }
}

function* skipped(gap: LogGap, expected: bigint): Generator<LogPiece> {
  if (gap.endOffset > expected) {
    const startOffset = gap.startOffset > expected ? gap.startOffset : expected;
    yield { gap: { ...gap, startOffset } };
  }
}
