package io.pipewright.client;

import static io.pipewright.client.FakeService.fail;
import static io.pipewright.client.FakeService.hold;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.grpc.Context;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.pipewright.v1.GetJobRequest;
import io.pipewright.v1.JobServiceGrpc;
import java.time.Duration;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The effect of the end of a client, or of a context, on everything that uses it. */
class ClosingTest {
  private enum Use {
    CALL(JobServiceGrpc.getGetJobMethod(), client -> client.jobs().getJob(GET)),
    WATCH(JobServiceGrpc.getWatchJobMethod(), client -> client.watchJob("j").iterator().hasNext()),
    LOG(
        JobServiceGrpc.getReadStageLogMethod(),
        client -> client.readLog("j", "s").iterator().hasNext());

    private final MethodDescriptor<?, ?> method;
    private final Consumer<PipewrightClient> waits;

    Use(MethodDescriptor<?, ?> method, Consumer<PipewrightClient> waits) {
      this.method = method;
      this.waits = waits;
    }
  }

  private static final GetJobRequest GET = GetJobRequest.newBuilder().setJobId("j").build();

  private FakeService service;
  private PipewrightClient client;

  /** A client whose pauses are longer than a test may take. */
  @BeforeEach
  void start() throws Exception {
    service = new FakeService();
    client =
        PipewrightClient.builder(service.address())
            .pauses(Duration.ofHours(1), Duration.ofHours(1))
            .build();
  }

  @AfterEach
  void stop() {
    client.close();
    service.close();
  }

  @ParameterizedTest
  @EnumSource
  void endsWhatIsOpen(Use use) throws Exception {
    var calls = service.on(use.method, hold());
    var waiting = new Interruptible(() -> use.waits.accept(client));
    calls.awaitCall();
    client.close();
    assertClosed(waiting.error());
  }

  @ParameterizedTest
  @EnumSource
  void endsPauses(Use use) throws Exception {
    var calls = service.on(use.method, fail(Status.UNAVAILABLE));
    var waiting = new Interruptible(() -> use.waits.accept(client));
    calls.awaitCall();
    client.close();
    assertClosed(waiting.error());
  }

  @ParameterizedTest
  @EnumSource
  void endsThePauseBeforeAnotherConnection(Use use) throws Exception {
    service.stop();
    var waiting = new Interruptible(() -> use.waits.accept(client));
    client.close();
    assertClosed(waiting.error());
  }

  @ParameterizedTest
  @EnumSource
  void endsWhatIsMadeAfterwards(Use use) throws Exception {
    client.close();
    assertClosed(new Interruptible(() -> use.waits.accept(client)).error());
  }

  @ParameterizedTest
  @EnumSource
  void pausesEndWithTheirContext(Use use) throws Exception {
    var calls = service.on(use.method, fail(Status.UNAVAILABLE));
    try (var context = Context.current().withCancellation()) {
      var waiting = new Interruptible(() -> context.run(() -> use.waits.accept(client)));
      calls.awaitCall();
      context.cancel(null);
      assertEquals(Code.CANCELLED, waiting.error().code());
    }
  }

  private static void assertClosed(PipewrightException error) {
    assertEquals(Code.CANCELLED, error.code());
    assertEquals("the client is closed", error.description());
  }
}
