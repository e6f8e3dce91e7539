import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "./google/rpc/error_details_pb.js";
import { NotGrpcError } from "./not-grpc.js";

/** What is wrong with a field of a request. */
export interface FieldViolation {
  /** The path of the field, as `pipeline.stages[0].name`. */
  readonly field: string;
  /** Why it is wrong, for people. */
  readonly description: string;
}

/**
 * Why a call failed: what every call of a client throws, streams too.
 *
 * `code` is the gRPC code, `rawMessage` the message of the service, and `metadata`, which it has
 * from {@link ConnectError}, the headers and trailers of the answer.
 */
export class PipewrightError extends ConnectError {
  /** For programs: `PIPELINE_NOT_FOUND` and so on. Empty where the service was not reached. */
  readonly reason: string;
  /** What the reasons belong to: `pipewright`. Empty where the service was not reached. */
  readonly domain: string;
  /** More about the reason: the metadata of `google.rpc.ErrorInfo`. */
  readonly info: Readonly<Record<string, string>>;
  /** The fields that are wrong, of `google.rpc.BadRequest`. */
  readonly fieldViolations: readonly FieldViolation[];
  /** How long to wait before another try, in milliseconds, where the service says so. */
  readonly retryDelayMs: number | undefined;
  /** The HTTP status of an answer that was not gRPC, such as one of a proxy. */
  readonly httpStatus: number | undefined;

  constructor(error: ConnectError, cause: unknown = error.cause) {
    super(error.rawMessage, error.code, error.metadata, undefined, cause);
    // The name stays "ConnectError": it is what that class knows its own by.
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

  /** Makes one of whatever was thrown; one that is one already is left as it is. */
  static override from(reason: unknown, code?: Code): PipewrightError {
    return reason instanceof PipewrightError
      ? reason
      : new PipewrightError(ConnectError.from(reason, code));
  }

  /** ConnectError's own would take any ConnectError for one of these. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return Function.prototype[Symbol.hasInstance].call(PipewrightError, value);
  }
}

/** Whatever ended a call, as it is thrown: with the reason as its cause if the signal aborted. */
export function typed(error: unknown, signal: AbortSignal): PipewrightError {
  if (error instanceof PipewrightError || !signal.aborted) {
    return PipewrightError.from(error);
  }
  return new PipewrightError(ConnectError.from(error, Code.Canceled), signal.reason);
}
