package io.pipewright.client;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.grpc.Status.Code;
import io.pipewright.v1.GetJobRequest;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class NotGrpcTest {
  private static final String HTML = "text/html";
  private static final String TEXT = "text/plain";
  private static final String PROXY = ": is there a proxy in between?";
  private static final String PAGE =
      "<!DOCTYPE html>\n<html><head><title>\n Bad\tGateway </title></head><body>no</body></html>";

  static Stream<Arguments> answers() {
    return Stream.of(
        Arguments.of(200, "text/html; charset=utf-8", PAGE, Code.UNKNOWN, "Bad Gateway"),
        Arguments.of(302, TEXT, "", Code.UNKNOWN, ""),
        Arguments.of(400, TEXT, "bad\u001b[31m\r\nmore", Code.INTERNAL, "bad[31m"),
        Arguments.of(401, "application/json", "{}", Code.UNAUTHENTICATED, "{}"),
        Arguments.of(
            403,
            HTML,
            "<html><style>a {}</style><h1>Access denied</h1>",
            Code.PERMISSION_DENIED,
            "Access denied"),
        Arguments.of(404, TEXT, "\n \nno such page\n", Code.UNIMPLEMENTED, "no such page"),
        Arguments.of(413, HTML, PAGE, Code.UNKNOWN, "Bad Gateway"),
        Arguments.of(429, TEXT, "é".repeat(200), Code.UNAVAILABLE, "é".repeat(79) + "…"),
        Arguments.of(502, HTML, PAGE, Code.UNAVAILABLE, "Bad Gateway"),
        Arguments.of(503, HTML, "<title>later", Code.UNAVAILABLE, "later"),
        Arguments.of(504, HTML, "", Code.UNAVAILABLE, ""),
        Arguments.of(200, "", "", Code.UNKNOWN, ""));
  }

  @ParameterizedTest
  @MethodSource("answers")
  void answerIsReportedWithItsHttpStatus(
      int status, String contentType, String body, Code code, String said) throws Exception {
    try (var peer = HttpPeer.answering(status, contentType, body);
        var client = client(peer)) {
      String type = contentType.isEmpty() ? "no content type" : contentType.split(";")[0];
      String expected =
          peer.address()
              + (" answered with HTTP " + status + " (" + type + "), which is not gRPC" + PROXY)
              + (said.isEmpty() ? "" : " It says: " + said);
      for (PipewrightException error : failures(client)) {
        assertEquals(expected, error.description());
        assertEquals(code, error.code());
        assertEquals(OptionalInt.of(status), error.httpStatus());
      }
      peer.calls.set(0);
      failures(client).get(0);
      boolean isFinal = ResumingStream.FINAL.contains(code);
      int unary = code == Code.UNAVAILABLE ? Caller.TRIES : 1;
      assertEquals(unary + 2 * (isFinal ? 1 : Caller.TRIES), peer.calls.get());
    }
  }

  @Test
  void answerWithoutStatusIsReportedWithTheHost() throws Exception {
    try (var peer = HttpPeer.answering(200, "application/grpc", "");
        var client = client(peer)) {
      for (PipewrightException error : failures(client)) {
        String expected = " answered with HTTP 200 (application/grpc) without a gRPC status";
        assertEquals(peer.address() + expected + PROXY, error.description());
        assertEquals(Code.UNKNOWN, error.code());
        assertEquals(OptionalInt.of(200), error.httpStatus());
      }
    }
  }

  @Test
  void peerThatSpeaksHttp1IsNamed() throws Exception {
    byte[] answer = "HTTP/1.1 400 Bad Request\r\n\r\n".getBytes(US_ASCII);
    try (var peer = HttpPeer.greeting(answer);
        var client = client(peer)) {
      isNamed(client, peer.address() + " speaks HTTP/1, but gRPC needs HTTP/2" + PROXY);
    }
  }

  @Test
  void peerThatSpeaksTlsIsNamed() throws Exception {
    try (var peer = HttpPeer.greeting(new byte[] {0x15, 3, 1, 0, 2, 2, 0x46});
        var client = client(peer)) {
      String host = peer.address();
      isNamed(
          client, host + " speaks TLS, but the address is without it: is it https://" + host + "?");
    }
  }

  private static void isNamed(PipewrightClient client, String expected) {
    for (PipewrightException error : failures(client)) {
      assertEquals(expected, error.description());
      assertEquals(Code.UNAVAILABLE, error.code());
      assertEquals(OptionalInt.empty(), error.httpStatus());
    }
  }

  private static PipewrightClient client(HttpPeer peer) {
    return FakeService.impatient(PipewrightClient.builder(peer.address())).build();
  }

  /** The errors of a call, a watch and a log. */
  private static List<PipewrightException> failures(PipewrightClient client) {
    Executable unary = () -> client.jobs().getJob(GetJobRequest.getDefaultInstance());
    Executable watch = () -> client.watchJob("j").forEach(update -> {});
    Executable log = () -> client.readLog("j", "s").forEach(piece -> {});
    return Stream.of(unary, watch, log)
        .map(each -> assertThrows(PipewrightException.class, each))
        .toList();
  }
}
