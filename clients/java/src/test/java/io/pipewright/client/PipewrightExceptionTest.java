package io.pipewright.client;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import com.google.rpc.Status;
import io.grpc.Metadata;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.pipewright.v1.GetJobRequest;
import io.pipewright.v1.JobServiceGrpc;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PipewrightExceptionTest {
  private static final ErrorInfo INFO =
      ErrorInfo.newBuilder()
          .setReason("INVALID_FIELDS")
          .setDomain("pipewright")
          .putMetadata("key", "value")
          .build();
  private static final Any BROKEN_INFO =
      Any.pack(INFO).toBuilder().setValue(ByteString.copyFromUtf8("\u00ff\u00ff")).build();

  @Test
  void tellsAllThatTheServiceSaid() throws Exception {
    var violation =
        BadRequest.FieldViolation.newBuilder()
            .setField("pipeline.name")
            .setDescription("is required");
    var retry = RetryInfo.newBuilder();
    retry.getRetryDelayBuilder().setSeconds(1).setNanos(500_000_000);
    var error =
        thrown(
            status(
                Any.pack(INFO),
                Any.pack(BadRequest.newBuilder().addFieldViolations(violation).build()),
                Any.pack(retry.build())));
    assertTold(error);
    assertEquals(
        List.of(new FieldViolation("pipeline.name", "is required")), error.fieldViolations());
    assertEquals(Optional.of(Duration.ofMillis(1500)), error.retryDelay());
    assertEquals("INVALID_ARGUMENT (INVALID_FIELDS): the request is not valid", error.getMessage());
  }

  @Test
  void isEmptyBeyondTheStatusWhereThereAreNoDetails() throws Exception {
    var error = thrown(io.grpc.Status.ABORTED.withDescription("why").asRuntimeException());
    assertEquals(Code.ABORTED, error.code());
    assertEquals("why", error.description());
    assertEquals("ABORTED: why", error.getMessage());
    assertNoDetails(error);
    assertEquals("", thrown(io.grpc.Status.ABORTED.asRuntimeException()).description());
  }

  @Test
  void isEmptyBeyondTheStatusWhereNobodyIsThere() throws Exception {
    var service = new FakeService();
    service.stop();
    try (var client = service.client()) {
      var error = failure(client);
      assertEquals(Code.UNAVAILABLE, error.code());
      assertNoDetails(error);
    }
  }

  @Test
  void detailsThatAreBrokenHideNeitherTheStatusNorTheOthers() throws Exception {
    var retry = RetryInfo.newBuilder();
    retry.getRetryDelayBuilder().setSeconds(7);
    var error = thrown(status(BROKEN_INFO, Any.pack(retry.build())));
    assertEquals(Code.INVALID_ARGUMENT, error.code());
    assertEquals("the request is not valid", error.description());
    assertEquals("", error.reason());
    assertEquals(Optional.of(Duration.ofSeconds(7)), error.retryDelay());
  }

  @Test
  void detailsThatAreUnknownArePassedOver() throws Exception {
    assertTold(thrown(status(Any.pack(Status.getDefaultInstance()), Any.pack(INFO))));
  }

  @Test
  void bytesThatAreNoDetailsDoNotHideTheStatus() throws Exception {
    var trailers = new Metadata();
    var key = Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);
    trailers.put(key, new byte[] {(byte) 0xff, 1, 2});
    assertNoDetails(thrown(io.grpc.Status.ABORTED.asRuntimeException(trailers)));
  }

  @Test
  void detailsOfAnotherStatusAreLeftOut() throws Exception {
    Metadata trailers = status(Any.pack(INFO)).getTrailers();
    var error = thrown(io.grpc.Status.ABORTED.asRuntimeException(trailers));
    assertEquals(Code.ABORTED, error.code());
    assertNoDetails(error);
  }

  @ParameterizedTest
  @ValueSource(longs = {Long.MAX_VALUE, Long.MIN_VALUE, -1})
  void pauseThatIsNoneIsLeftOut(long seconds) throws Exception {
    var retry = RetryInfo.newBuilder();
    retry.getRetryDelayBuilder().setSeconds(seconds).setNanos(Integer.MAX_VALUE);
    assertEquals(Optional.empty(), thrown(status(Any.pack(retry.build()))).retryDelay());
  }

  @Test
  void isReadFromTheErrorsOfStubs() throws Exception {
    StatusRuntimeException unchecked = status(Any.pack(INFO));
    assertTold(PipewrightException.from(unchecked));
    assertTold(PipewrightException.from(new ExecutionException(unchecked)));
    assertTold(
        PipewrightException.from(unchecked.getStatus().asException(unchecked.getTrailers())));
    var error = PipewrightException.from(unchecked);
    assertSame(unchecked, error.getCause());
    assertSame(error, PipewrightException.from(error));
    assertEquals(Code.UNKNOWN, PipewrightException.from(new IllegalStateException()).code());
  }

  private static void assertTold(PipewrightException error) {
    assertAll(
        () -> assertEquals(Code.INVALID_ARGUMENT, error.code()),
        () -> assertEquals("the request is not valid", error.description()),
        () -> assertEquals("INVALID_FIELDS", error.reason()),
        () -> assertEquals("pipewright", error.domain()),
        () -> assertEquals(Map.of("key", "value"), error.metadata()));
  }

  private static void assertNoDetails(PipewrightException error) {
    assertAll(
        () -> assertEquals("", error.reason()),
        () -> assertEquals("", error.domain()),
        () -> assertEquals(Map.of(), error.metadata()),
        () -> assertEquals(List.of(), error.fieldViolations()),
        () -> assertEquals(Optional.empty(), error.retryDelay()));
  }

  private static StatusRuntimeException status(Any... details) {
    return StatusProto.toStatusRuntimeException(
        Status.newBuilder()
            .setCode(Code.INVALID_ARGUMENT.value())
            .setMessage("the request is not valid")
            .addAllDetails(List.of(details))
            .build());
  }

  /** The exception of a call that a service refused like this. */
  private static PipewrightException thrown(StatusRuntimeException refusal) throws Exception {
    try (var service = new FakeService();
        var client = service.client()) {
      service.on(JobServiceGrpc.getGetJobMethod(), (request, answer) -> answer.onError(refusal));
      return failure(client);
    }
  }

  private static PipewrightException failure(PipewrightClient client) {
    return assertThrows(
        PipewrightException.class, () -> client.jobs().getJob(GetJobRequest.getDefaultInstance()));
  }
}
