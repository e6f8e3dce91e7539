package io.pipewright.client;

import static io.pipewright.client.FakeService.answer;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.pipewright.v1.GetJobRequest;
import io.pipewright.v1.JobServiceGrpc;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class OwnErrorsTest {
  private static final GetJobRequest GET = GetJobRequest.getDefaultInstance();
  private static final int INTERNAL_ERROR = 2;
  private static final int ENHANCE_YOUR_CALM = 11;

  static Stream<byte[]> broken() {
    byte[] halfAHeader = {0, 0, 8, 7};
    return Stream.of(halfAHeader, goAway(INTERNAL_ERROR), goAway(ENHANCE_YOUR_CALM));
  }

  @ParameterizedTest
  @MethodSource("broken")
  void connectionThatBreaksIsUnavailable(byte[] answer) throws Exception {
    try (var service = new RawService(0, answer);
        var client = client(service.address())) {
      var error = failure(client);
      assertEquals(Code.UNAVAILABLE, error.code());
      assertFalse(error.description().contains("\n"), error.description());
      assertEquals(Caller.TRIES, service.connections.get());
    }
  }

  @Test
  void streamThatTheServiceResetsKeepsItsMeaning() throws Exception {
    byte[] reset = {0, 0, 4, 3, 0, 0, 0, 0, 3, 0, 0, 0, INTERNAL_ERROR};
    try (var service = new RawService(0, reset);
        var client = client(service.address())) {
      assertEquals(Code.INTERNAL, failure(client).code());
      assertEquals(1, service.connections.get());
    }
  }

  @Test
  void messageThatIsNoneIsInternalForCallsAndPassingForStreams() throws Exception {
    try (var service = new FakeService();
        var client = service.client()) {
      service.on(garbled(JobServiceGrpc.getGetJobMethod()), answer(new byte[] {-1, -1}));
      assertEquals(Code.INTERNAL, failure(client).code());
      var calls =
          service.on(garbled(JobServiceGrpc.getWatchJobMethod()), answer(new byte[] {-1, -1}));
      var watch = client.watchJob("j");
      var error = assertThrows(PipewrightException.class, () -> watch.forEach(update -> {}));
      assertEquals(Code.INTERNAL, error.code());
      assertEquals(Caller.TRIES, calls.requests().size());
    }
  }

  @Test
  void absenceIsToldInOneLine() throws Exception {
    var service = new FakeService();
    service.stop();
    try (var client = service.client()) {
      String description = failure(client).description();
      assertTrue(description.contains("Connection refused"), description);
      assertFalse(description.contains("\n"), description);
    }
  }

  @Test
  void statusesOfTheServiceStayAsTheyAre() {
    for (var code : List.of(Code.UNAVAILABLE, Code.INTERNAL, Code.CANCELLED, Code.UNKNOWN)) {
      Status said = code.toStatus().withDescription("one\ntwo");
      assertEquals(said, OwnErrors.explain(said));
      assertEquals(code.toStatus(), OwnErrors.explain(code.toStatus()));
    }
  }

  private static PipewrightClient client(String address) {
    return FakeService.impatient(PipewrightClient.builder(address)).build();
  }

  private static PipewrightException failure(PipewrightClient client) {
    return assertThrows(PipewrightException.class, () -> client.jobs().getJob(GET));
  }

  /** A GOAWAY frame for a connection whose streams were not processed. */
  private static byte[] goAway(int code) {
    return new byte[] {0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (byte) code};
  }

  /** The method with arbitrary bytes as its response. */
  private static <Q, R> MethodDescriptor<Q, byte[]> garbled(MethodDescriptor<Q, R> method) {
    var bytes =
        new MethodDescriptor.Marshaller<byte[]>() {
          @Override
          public InputStream stream(byte[] value) {
            return new ByteArrayInputStream(value);
          }

          @Override
          public byte[] parse(InputStream stream) {
            throw new UnsupportedOperationException();
          }
        };
    return method.toBuilder(method.getRequestMarshaller(), bytes).build();
  }
}
