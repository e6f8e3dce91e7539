package io.pipewright.client;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The address of a service: a scheme, a host and a port. */
record Address(boolean isTls, String host, int port) {
  private static final Pattern SCHEME = Pattern.compile("([^:/]*)://.*", Pattern.DOTALL);
  private static final Pattern ADDRESS =
      Pattern.compile("(?:(https?)://)?(\\[[0-9A-Fa-f:.]+]|[^\\s:/?#@\\[\\]]+)(?::(\\d{1,5}))?/?");
  private static final Pattern LOOPBACK =
      Pattern.compile("127(\\.(25[0-5]|2[0-4]\\d|1?\\d?\\d)){3}");
  private static final int LAST_PORT = 65535;

  /**
   * Parses an address in the command line's form.
   *
   * @throws IllegalArgumentException if it is invalid; the text is not repeated, as it may contain
   *     a password
   */
  static Address parse(String text) {
    if (text.contains("@")) {
      throw new IllegalArgumentException("an address has no credentials in it; use basicAuth");
    }
    Matcher scheme = SCHEME.matcher(text);
    if (scheme.matches() && !scheme.group(1).matches("https?")) {
      throw new IllegalArgumentException("the scheme of an address is https or http");
    }
    Matcher parts = ADDRESS.matcher(text);
    if (!parts.matches()) {
      throw malformed();
    }
    boolean isTls = "https".equals(parts.group(1));
    return new Address(isTls, host(parts.group(2)), port(parts.group(3), isTls));
  }

  /** Whether calls stay on this machine. */
  boolean isLoopback() {
    return host.startsWith("[")
        ? ipv6(host).isLoopbackAddress()
        : host.equalsIgnoreCase("localhost") || LOOPBACK.matcher(host).matches();
  }

  /** The host and the port, for messages. */
  String hostPort() {
    return host + ":" + port;
  }

  @Override
  public String toString() {
    return (isTls ? "https://" : "http://") + hostPort();
  }

  private static String host(String text) {
    if (text.startsWith("[")) {
      ipv6(text);
    }
    return text;
  }

  private static int port(String text, boolean isTls) {
    if (text == null) {
      return isTls ? 443 : 80;
    }
    int port = Integer.parseInt(text);
    if (port == 0 || port > LAST_PORT) {
      throw malformed();
    }
    return port;
  }

  private static InetAddress ipv6(String bracketed) {
    try {
      // No name look-up: brackets contain only an IP address.
      return InetAddress.getByName(bracketed);
    } catch (UnknownHostException e) {
      throw malformed();
    }
  }

  private static IllegalArgumentException malformed() {
    return new IllegalArgumentException(
        "an address is https://host:port, http://host:port or host:port");
  }
}
