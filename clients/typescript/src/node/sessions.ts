import { X509Certificate } from "node:crypto";
import type {
  ClientHttp2Stream,
  Http2Session,
  IncomingHttpHeaders,
  SecureClientSessionOptions,
} from "node:http2";
import { createSecureContext } from "node:tls";
import { Http2SessionManager } from "@connectrpc/connect-node";
import { areDetailsSound, STATUS_DETAILS } from "../status-details.js";

const PINGS = { pingIntervalMs: 30_000, pingTimeoutMs: 20_000, pingIdleConnection: false };
const STREAM_WINDOW = 64 * 1024;
/** Streams that nobody reads do not stop the others, up to 128 of them. */
const CONNECTION_WINDOW = 8 * 1024 * 1024;

/** How the service and the client prove who they are. All but the name is PEM. */
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

/** Connect's connections, with a window of their own, and without broken details of a status. */
export class Sessions extends Http2SessionManager {
  readonly #prepared = new WeakSet<Http2Session>();

  /** @throws Error if a certificate or the key is not PEM, or they do not belong together. */
  constructor(origin: string, tls: TlsOptions | undefined) {
    const settings = { initialWindowSize: STREAM_WINDOW };
    super(origin, PINGS, { settings, ...(tls && secured(tls)) });
  }

  override async request(
    ...call: Parameters<Http2SessionManager["request"]>
  ): Promise<ClientHttp2Stream> {
    const stream = await super.request(...call);
    this.#prepare(stream.session);
    // Connect listens too, but later.
    stream.on("response", dropBrokenDetails);
    stream.on("trailers", dropBrokenDetails);
    return stream;
  }

  /** What can be done only once the connection is there. */
  #prepare(session: Http2Session | undefined): void {
    if (session && !this.#prepared.has(session)) {
      this.#prepared.add(session);
      session.setLocalWindowSize(CONNECTION_WINDOW);
      // Connect stops listening as it closes. An error that is under way then, of which the calls
      // were told already, would end the process.
      session.on("error", () => {});
    }
  }
}

function secured({ ca, cert, key, servername }: TlsOptions): SecureClientSessionOptions {
  // createSecureContext() takes authorities that it cannot read for none at all.
  if (ca !== undefined) {
    new X509Certificate(ca);
  }
  return {
    secureContext: createSecureContext({ ca, cert, key }),
    ...(servername !== undefined && { servername }),
  };
}

function dropBrokenDetails(headers: IncomingHttpHeaders): void {
  const details = headers[STATUS_DETAILS];
  if (typeof details === "string" && !areDetailsSound(details, String(headers["grpc-status"]))) {
    delete headers[STATUS_DETAILS];
  }
}
