import { X509Certificate } from "node:crypto";
import {
  type ClientHttp2Stream,
  constants,
  type Http2Session,
  type IncomingHttpHeaders,
  type SecureClientSessionOptions,
} from "node:http2";
import { createSecureContext } from "node:tls";
import { Code, ConnectError } from "@connectrpc/connect";
import { Http2SessionManager } from "@connectrpc/connect-node";
import { Backoff } from "../backoff.js";
import type { Clock } from "../clock.js";
import { mendStatus } from "../status.js";
import { reportForeign } from "./foreign.js";

const PINGS = { pingIntervalMs: 30_000, pingTimeoutMs: 20_000, pingIdleConnection: false };
const STREAM_WINDOW = 64 * 1024;
/** Up to 128 streams without a reader do not block the others. */
const CONNECTION_WINDOW = 8 * 1024 * 1024;

/** Authentication of the service and the client. All but the name is PEM. */
export interface TlsOptions {
  /** Authorities to trust instead of those that Node.js trusts. */
  readonly ca?: string | undefined;
  /** The client's certificate, with its chain after it. */
  readonly cert?: string | undefined;
  /** The private key of `cert`. */
  readonly key?: string | undefined;
  /** The name in the service's certificate, if it is not the host of the address. */
  readonly servername?: string | undefined;
}

/** Connect's connections, with another window, and with statuses that Connect can read. */
export class Sessions extends Http2SessionManager {
  readonly #prepared = new WeakSet<Http2Session>();
  /** Those whose peer has sent its settings. */
  readonly #greeted = new WeakSet<Http2Session>();
  readonly #host: string;
  readonly #clock: Clock;
  readonly #backoff = new Backoff();
  /** The earliest time of the next attempt to connect, by the clock. */
  #nextAttempt = 0;

  /** @throws Error if a certificate or the key is not PEM, or they do not belong together. */
  constructor(origin: string, host: string, tls: TlsOptions | undefined, clock: Clock) {
    const settings = { initialWindowSize: STREAM_WINDOW };
    super(origin, PINGS, { settings, ...(tls && secured(tls)) });
    this.#host = host;
    this.#clock = clock;
  }

  /**
   * Waits until a call may use the connection. However many calls wait, there is a
   * pause between attempts to connect, unless a connection got a response: an accepted connection
   * is not enough.
   */
  async reach(signal: AbortSignal): Promise<void> {
    while (["closed", "error"].includes(this.state())) {
      const pauseMs = this.#nextAttempt - this.#clock.now();
      if (pauseMs > 0) {
        await this.#clock.sleep(pauseMs, signal);
      } else {
        this.#nextAttempt = this.#clock.now() + this.#backoff.next();
        void this.connect(); // In progress when this returns; its calls report how it ends.
      }
    }
  }

  override async request(
    ...call: Parameters<Http2SessionManager["request"]>
  ): Promise<ClientHttp2Stream> {
    const stream = await super.request(...call);
    this.#prepare(stream.session);
    const { session } = stream;
    reportForeign(stream, this.#host, () => session !== undefined && this.#greeted.has(session));
    // Connect listens too, but later.
    stream.on("response", mendHeaders);
    stream.once("response", () => {
      this.#backoff.reset();
      this.#nextAttempt = 0;
    });
    stream.on("trailers", mendHeaders);
    reportEnd(stream, stream.session);
    return stream;
  }

  /** Setup that is possible only once the connection exists. */
  #prepare(session: Http2Session | undefined): void {
    if (session && !this.#prepared.has(session)) {
      this.#prepared.add(session);
      session.once("remoteSettings", () => this.#greeted.add(session));
      session.setLocalWindowSize(CONNECTION_WINDOW);
      // Connect removes its listener when it closes. A later error, which the calls have reported
      // already, would end the process.
      session.on("error", () => {});
    }
  }
}

function secured({ ca, cert, key, servername }: TlsOptions): SecureClientSessionOptions {
  // createSecureContext() treats unreadable authorities as none.
  if (ca !== undefined) {
    new X509Certificate(ca);
  }
  return {
    secureContext: createSecureContext({ ca, cert, key }),
    ...(servername !== undefined && { servername }),
  };
}

function mendHeaders(headers: IncomingHttpHeaders): void {
  mendStatus({
    get: (name) => headers[name]?.toString(),
    set: (name, value) => {
      headers[name] = value;
    },
    delete: (name) => delete headers[name],
  });
}

/**
 * Reports two ends of a stream that Connect misses: Node.js closes the streams of an ended
 * connection with CANCEL, as if the service had sent it, and a stream that is reset with NO_ERROR
 * before the headers looks as if they were still to come.
 */
function reportEnd(stream: ClientHttp2Stream, session: Http2Session | undefined): void {
  let isAnswered = false;
  stream.once("response", () => {
    isAnswered = true;
  });
  stream.once("close", () => {
    const isLost = stream.rstCode === constants.NGHTTP2_CANCEL && session?.destroyed !== false;
    if (isLost || (stream.rstCode === constants.NGHTTP2_NO_ERROR && !isAnswered)) {
      // Connect uses the first error that it receives; after the call it has no listener.
      stream.emit("error", new ConnectError("the connection ended", Code.Unavailable));
    }
  });
}
