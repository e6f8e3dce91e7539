/** The address of a service: a scheme, a host and a port. */
export class Address {
  readonly #url: URL;

  /**
   * Parses `https://host:port`, `http://host:port`, or `host:port` for http; without a port 443
   * or 80, by scheme.
   *
   * @throws TypeError if it is anything else. The message does not repeat the address, which may
   * contain a password.
   */
  constructor(text: string) {
    const [, scheme = "http", authority] = /^(?:(.*):\/\/)?([^/?#\\\s]+)\/?$/.exec(text) ?? [];
    if (scheme !== "http" && scheme !== "https") {
      throw new TypeError("the scheme of an address is https or http");
    }
    if (text.includes("@")) {
      throw new TypeError("an address has no credentials in it; give them as options");
    }
    const url = authority === undefined ? undefined : parse(`${scheme}://${authority}`);
    if (url === undefined) {
      throw new TypeError("an address is https://host:port, http://host:port or host:port");
    }
    this.#url = url;
  }

  /** The scheme, host and port; the port only if it is not the scheme's own. */
  get origin(): string {
    return this.#url.origin;
  }

  /** The host and the port, for messages. */
  get hostPort(): string {
    return `${this.#url.hostname}:${this.#url.port || (this.isTls ? 443 : 80)}`;
  }

  /** Whether calls are encrypted. */
  get isTls(): boolean {
    return this.#url.protocol === "https:";
  }

  /** Whether calls stay on this machine. */
  get isLoopback(): boolean {
    // A URL writes IP addresses in one way only, those of IPv4 within IPv6 in hexadecimal.
    return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\])$/.test(
      this.#url.hostname,
    );
  }
}

function parse(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
