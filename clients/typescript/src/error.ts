import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "./google/rpc/error_details_pb.js";
import { NotGrpcError } from "./not-grpc.js";

/** An invalid field of a request. */
export interface FieldViolation {
  /** The path of the field, such as `pipeline.stages[0].name`. */
  readonly field: string;
  /** Why it is wrong, for people. */
  readonly description: string;
}

/**
 * The error of every failed call of a client, including streams.
 *
 * `code` is the gRPC code, `rawMessage` the message of the service, and `metadata`, from
 * {@link ConnectError}, the headers and trailers of the response.
 */
export class PipewrightError extends ConnectError {
  /** For programs, such as `PIPELINE_NOT_FOUND`. Empty if the service was not reached. */
  readonly reason: string;
  /** The namespace of the reason: `pipewright`. Empty if the service was not reached. */
  readonly domain: string;
  /** Further facts about the reason: the metadata of `google.rpc.ErrorInfo`. */
  readonly info: Readonly<Record<string, string>>;
  /** The invalid fields, from `google.rpc.BadRequest`. */
  readonly fieldViolations: readonly FieldViolation[];
  /** The pause before another try, in milliseconds, if the service sets it. */
  readonly retryDelayMs: number | undefined;
  /** The HTTP status of an answer that was not gRPC, such as one of a proxy. */
  readonly httpStatus: number | undefined;

  constructor(error: ConnectError, cause: unknown = error.cause) {
    super(error.rawMessage, error.code, error.metadata, undefined, cause);
    // The name stays "ConnectError": that class recognizes its instances by it.
    this.details = error.details;
    const [info] = error.findDetails(ErrorInfoSchema);
    this.reason = info?.reason ?? "";
    this.domain = info?.domain ?? "";
    this.info = info?.metadata ?? {};
    const [request] = error.findDetails(BadRequestSchema);
    this.fieldViolations = (request?.fieldViolations ?? []).map(({ field, description }) => ({
      field,
      description,
    }));
    const [retry] = error.findDetails(RetryInfoSchema);
    this.retryDelayMs = retry?.retryDelay && durationMs(retry.retryDelay);
    this.httpStatus = error instanceof NotGrpcError ? error.httpStatus : undefined;
  }

  /** Converts anything that was thrown; a PipewrightError is returned unchanged. */
  static override from(reason: unknown, code?: Code): PipewrightError {
    return reason instanceof PipewrightError
      ? reason
      : new PipewrightError(ConnectError.from(reason, code));
  }

  /** ConnectError's own would accept any ConnectError as one of these. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return Function.prototype[Symbol.hasInstance].call(PipewrightError, value);
  }
}

/** The error to throw for a failed call: with the reason as its cause if the signal aborted. */
export function typed(error: unknown, signal: AbortSignal): PipewrightError {
  if (error instanceof PipewrightError || !signal.aborted) {
    return PipewrightError.from(error);
  }
  return new PipewrightError(ConnectError.from(error, Code.Canceled), signal.reason);
}
