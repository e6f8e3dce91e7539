package io.pipewright.client;

import io.grpc.ClientInterceptor;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

/** The credentials of calls. Has no text form, so that they never end up in a log. */
final class Credentials {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final String header;

  private Credentials(String header) {
    this.header = header;
  }

  /** A token; the error describes the problem without the token. */
  static Credentials bearer(String token) {
    given(token, "token");
    boolean isVisible = token.chars().allMatch(c -> c > ' ' && c < 0x7f);
    if (token.isEmpty() || !isVisible) {
      throw new IllegalArgumentException("a token is one or more visible ASCII characters");
    }
    return new Credentials("Bearer " + token);
  }

  /** A username and password (RFC 7617); the error describes the problem without them. */
  static Credentials basic(String username, String password) {
    given(username, "username");
    given(password, "password");
    if (username.isEmpty() || username.contains(":")) {
      throw new IllegalArgumentException("a user's name is not empty and has no colon");
    }
    String pair = username + ":" + password;
    if (pair.chars().anyMatch(Character::isISOControl)) {
      throw new IllegalArgumentException("names and passwords have no control characters");
    }
    byte[] bytes = pair.getBytes(StandardCharsets.UTF_8);
    return new Credentials("Basic " + Base64.getEncoder().encodeToString(bytes));
  }

  /** Names the null argument: an unset environment variable is null. */
  private static void given(String text, String name) {
    if (text == null) {
      throw new IllegalArgumentException("the " + name + " is null");
    }
  }

  /** Adds them to every call. */
  ClientInterceptor interceptor() {
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, header);
    return MetadataUtils.newAttachHeadersInterceptor(headers);
  }
}
