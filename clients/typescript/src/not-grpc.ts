import { Code, ConnectError } from "@connectrpc/connect";

/** How much of a body is read for an excerpt, in bytes. */
export const BODY_BYTES = 1024;
const EXCERPT_CHARACTERS = 80;
const PROXY = "is there a proxy in between?";

const CODES: ReadonlyMap<number, Code> = new Map([
  [400, Code.Internal],
  [401, Code.Unauthenticated],
  [403, Code.PermissionDenied],
  [404, Code.Unimplemented],
  [429, Code.Unavailable],
  [502, Code.Unavailable],
  [503, Code.Unavailable],
  [504, Code.Unavailable],
]);

/** The head of an answer. */
export interface AnswerHead {
  readonly status: number;
  readonly contentType: string | undefined;
}

/** An answer that is not gRPC, such as a page of a proxy between the client and the service. */
export class NotGrpcError extends ConnectError {
  private constructor(
    message: string,
    code: Code,
    /** Of a redirect, browsers hide it. */
    readonly httpStatus: number | undefined,
  ) {
    super(message, code);
  }

  /** `body` is the beginning of it. */
  static of(host: string, { status, contentType = "" }: AnswerHead, body: Uint8Array) {
    const message = messageOf(host, status, contentType, body);
    return new NotGrpcError(message, CODES.get(status) ?? Code.Unknown, status);
  }

  /** A redirect of which a browser tells nothing else. */
  static ofRedirect(host: string) {
    const message = `${host} answered with a redirect, which is not gRPC: ${PROXY}`;
    return new NotGrpcError(message, Code.Unknown, undefined);
  }

  /** ConnectError's own would take any ConnectError for one of these. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return Function.prototype[Symbol.hasInstance].call(NotGrpcError, value);
  }
}

/** Whether an answer with this head, which has no gRPC status, cannot have one later. */
export function isForeign({ status, contentType }: AnswerHead): boolean {
  return status !== 200 || !isGrpc(contentType);
}

/** The message for an answer that ended too early. */
export function withoutStatus(host: string): string {
  return `${host} answered without a gRPC status: ${PROXY}`;
}

/** The message for a peer that sends what is not HTTP/2. */
export function notHttp2(host: string): string {
  return `${host} does not speak HTTP/2, which gRPC needs: ${PROXY}`;
}

function isGrpc(contentType: string | undefined): boolean {
  return /^application\/grpc/i.test(contentType ?? "");
}

function messageOf(host: string, status: number, contentType: string, body: Uint8Array): string {
  const type = clean(contentType.replace(/;.*/s, "")) || "no content type";
  const answer = `${host} answered with HTTP ${status} (${type})`;
  if (isGrpc(contentType)) {
    return `${answer} without a gRPC status: ${PROXY}`;
  }
  const said = excerpt(new TextDecoder().decode(body));
  return `${answer}, which is not gRPC: ${PROXY}${said && ` It says: ${said}`}`;
}

/** The title of a page, or the first line of text. */
function excerpt(body: string): string {
  const title = /<title[^>]*>\s*([^<\s][^<]*)/i.exec(body)?.[1];
  if (title !== undefined) {
    return clean(title);
  }
  const text = body.trimStart().startsWith("<")
    ? body
        .replace(/<(script|style)\b.*?(<\/(script|style)\s*>|$)|<!--.*?(-->|$)/gis, "")
        .replace(/<[^>]*(>|$)/g, "\n")
    : body;
  return (
    text
      .split(/[\r\n]/)
      .map(clean)
      .find(Boolean) ?? ""
  );
}

/** Text in one line, safe for a terminal. */
function clean(text: string): string {
  const line = text
    .replace(/\s+/g, " ")
    .replace(/[\p{C}\ufffd]/gu, "")
    .trim();
  const characters = [...line];
  return characters.length > EXCERPT_CHARACTERS
    ? `${characters.slice(0, EXCERPT_CHARACTERS - 1).join("")}…`
    : line;
}
