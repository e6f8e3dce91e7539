package io.pipewright.client;

import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.TlsChannelCredentials;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Optional;

/** Connection options and credentials of a client. */
public final class ClientBuilder {
  private final Address address;
  private Optional<Credentials> credentials = Optional.empty();
  private boolean isInsecure;
  private boolean hasTlsOptions;
  private final TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder();
  private String serverName;
  private Pauses pauses = Pauses.USUAL;
  private Pauses connectionPauses = Pauses.USUAL;

  ClientBuilder(Address address) {
    this.address = address;
  }

  /**
   * Authenticates with a token, instead of credentials that were set before.
   *
   * @throws IllegalArgumentException unless it is one or more visible ASCII characters
   */
  public ClientBuilder token(String token) {
    credentials = Optional.of(Credentials.bearer(token));
    return this;
  }

  /**
   * Authenticates with a username and a password (RFC 7617), instead of credentials that were set
   * before.
   *
   * @throws IllegalArgumentException if the name is empty or has a colon, or one of both is null or
   *     has a control character
   */
  public ClientBuilder basicAuth(String username, String password) {
    credentials = Optional.of(Credentials.basic(username, password));
    return this;
  }

  /** Allows credentials to cross a network in plaintext, where others can read them. */
  public ClientBuilder insecure() {
    isInsecure = true;
    return this;
  }

  /** Trusts these authorities, one or more certificates in PEM, instead of those of the JVM. */
  public ClientBuilder caCertificates(byte[] pem) {
    return tls(() -> tls.trustManager(new ByteArrayInputStream(pem)));
  }

  /** Sets a client certificate with its chain, and its key (PKCS #8), in PEM. */
  public ClientBuilder clientCertificate(byte[] certificatePem, byte[] keyPem) {
    return tls(
        () ->
            tls.keyManager(
                new ByteArrayInputStream(certificatePem), new ByteArrayInputStream(keyPem)));
  }

  /** Expects this name in the certificate of the service, instead of the host of the address. */
  public ClientBuilder serverName(String name) {
    serverName = name;
    hasTlsOptions = true;
    return this;
  }

  /** Sets shorter pauses, for tests. */
  ClientBuilder pauses(Duration first, Duration longest) {
    pauses = new Pauses(first, longest);
    connectionPauses = pauses;
    return this;
  }

  /** The same, only for the pauses between connections. */
  ClientBuilder connectionPauses(Duration first, Duration longest) {
    connectionPauses = new Pauses(first, longest);
    return this;
  }

  /**
   * Creates the client. It connects with the first call.
   *
   * @throws IllegalArgumentException if credentials would cross a network in plaintext, options of
   *     TLS are given for an address without it, or a certificate or a key is invalid
   */
  public PipewrightClient build() {
    if (credentials.isPresent() && !address.isTls() && !address.isLoopback() && !isInsecure) {
      throw new IllegalArgumentException(
          "credentials would be sent to " + address + " in plaintext; use https, or insecure()");
    }
    if (hasTlsOptions && !address.isTls()) {
      throw new IllegalArgumentException(address + " has no TLS for the options given; use https");
    }
    ChannelCredentials security =
        address.isTls() ? tls.build() : InsecureChannelCredentials.create();
    return new PipewrightClient(address, connect(security), pauses);
  }

  private Connection connect(ChannelCredentials security) {
    try {
      var gate = new Gate(connectionPauses, System::nanoTime);
      return new Connection(address, security, serverName, credentials, gate);
    } catch (RuntimeException e) {
      // Only the library knows whether the certificate or the key is invalid.
      throw new IllegalArgumentException("cannot set up the connection: " + e.getMessage(), e);
    }
  }

  private ClientBuilder tls(TlsOption option) {
    hasTlsOptions = true;
    try {
      option.set();
    } catch (IOException e) {
      throw new UncheckedIOException(e); // Arrays are read without one.
    }
    return this;
  }

  private interface TlsOption {
    void set() throws IOException;
  }
}
