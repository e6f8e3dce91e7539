package io.pipewright.client;

import static io.pipewright.client.FakeService.answer;
import static io.pipewright.client.FakeService.fail;
import static io.pipewright.client.FakeService.hold;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.pipewright.runner.v1.AcquireLeaseRequest;
import io.pipewright.runner.v1.AcquireLeaseResponse;
import io.pipewright.runner.v1.LeaseServiceGrpc;
import io.pipewright.v1.CreatePipelineRequest;
import io.pipewright.v1.CreatePipelineResponse;
import io.pipewright.v1.GetJobRequest;
import io.pipewright.v1.GetJobResponse;
import io.pipewright.v1.Job;
import io.pipewright.v1.JobServiceGrpc;
import io.pipewright.v1.Pipeline;
import io.pipewright.v1.PipelineServiceGrpc;
import io.pipewright.v1.TriggerPipelineRequest;
import io.pipewright.v1.TriggerPipelineResponse;
import io.pipewright.v1.UpdatePipelineRequest;
import io.pipewright.v1.UpdatePipelineResponse;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class CallTest {
  private static final CreatePipelineRequest CREATE =
      CreatePipelineRequest.newBuilder().setPipeline(Pipeline.newBuilder().setName("p")).build();
  private static final GetJobRequest GET = GetJobRequest.newBuilder().setJobId("j").build();
  private static final GetJobResponse GOT =
      GetJobResponse.newBuilder().setJob(Job.newBuilder().setId("j")).build();

  private FakeService service;
  private PipewrightClient client;

  @BeforeEach
  void start() throws Exception {
    service = new FakeService();
    client = service.client();
  }

  @AfterEach
  void stop() throws Exception {
    client.close();
    service.close();
  }

  @Test
  void isTriedAgainAsTheSameRequestWhileTheServiceIsUnavailable() {
    var calls =
        service.on(
            PipelineServiceGrpc.getCreatePipelineMethod(),
            fail(Status.UNAVAILABLE),
            fail(Status.UNAVAILABLE),
            fail(Status.UNAVAILABLE),
            fail(Status.UNAVAILABLE),
            answer(CreatePipelineResponse.getDefaultInstance()));
    client.pipelines().createPipeline(CREATE);
    CreatePipelineRequest first = calls.requests().get(0);
    UUID.fromString(first.getRequestId());
    assertEquals(Collections.nCopies(5, first), calls.requests());
    assertEquals(CREATE, first.toBuilder().clearRequestId().build());
    assertEquals("", CREATE.getRequestId());
  }

  @Test
  void isTriedFiveTimesInAll() {
    var calls = service.on(JobServiceGrpc.getGetJobMethod(), fail(Status.UNAVAILABLE));
    assertEquals(Code.UNAVAILABLE, failure(GET).code());
    assertEquals(5, calls.requests().size());
  }

  @ParameterizedTest
  @EnumSource(
      names = {"OK", "UNAVAILABLE"},
      mode = EnumSource.Mode.EXCLUDE)
  void isNotTriedAgainAfterAnotherError(Code code) {
    var calls = service.on(JobServiceGrpc.getGetJobMethod(), fail(code.toStatus()));
    assertEquals(code, failure(GET).code());
    assertEquals(1, calls.requests().size());
  }

  @Test
  void isTriedAgainThoughAnAnswerHadBegun() {
    var calls =
        service.on(
            JobServiceGrpc.getGetJobMethod(),
            (request, answer) -> {
              answer.onNext(GOT);
              answer.onError(Status.UNAVAILABLE.asRuntimeException());
            },
            answer(GOT));
    assertEquals(GOT, client.jobs().getJob(GET));
    assertEquals(2, calls.requests().size());
  }

  @Test
  void hasARequestIdOfItsOwn() {
    var calls =
        service.on(
            PipelineServiceGrpc.getTriggerPipelineMethod(),
            answer(TriggerPipelineResponse.getDefaultInstance()));
    client.pipelines().triggerPipeline(TriggerPipelineRequest.getDefaultInstance());
    client.pipelines().triggerPipeline(TriggerPipelineRequest.getDefaultInstance());
    long ids =
        calls.requests().stream().map(TriggerPipelineRequest::getRequestId).distinct().count();
    assertEquals(2, ids);
  }

  @Test
  void keepsTheRequestIdOfTheCaller() {
    var request = CREATE.toBuilder().setRequestId("6f1f5c1e-6a3e-4c43-8f0a-000000000001").build();
    assertEquals(request, created(request));
  }

  @Test
  void hasNoRequestIdWhereNothingIsToChange() {
    var request = CREATE.toBuilder().setValidateOnly(true).build();
    assertEquals(request, created(request));
  }

  @Test
  void leavesRequestsAloneThatHaveNoRequestId() {
    var calls = service.on(JobServiceGrpc.getGetJobMethod(), answer(GOT));
    client.jobs().getJob(GET);
    assertEquals(List.of(GET), calls.requests());
  }

  @Test
  void updatesCarryARequestIdToo() {
    var calls =
        service.on(
            PipelineServiceGrpc.getUpdatePipelineMethod(),
            answer(UpdatePipelineResponse.getDefaultInstance()));
    client.pipelines().updatePipeline(UpdatePipelineRequest.getDefaultInstance());
    UUID.fromString(calls.requests().get(0).getRequestId());
  }

  @Test
  void ofALeaseIsMadeOnceAndAsItIs() {
    var calls = service.on(LeaseServiceGrpc.getAcquireLeaseMethod(), fail(Status.UNAVAILABLE));
    var request = AcquireLeaseRequest.newBuilder().setRunnerId("r").build();
    var error =
        assertThrows(PipewrightException.class, () -> client.leases().acquireLease(request));
    assertEquals(Code.UNAVAILABLE, error.code());
    assertEquals(List.of(request), calls.requests());
  }

  @Test
  void ofALeaseHasNoLimitUnlessTheCallerGivesOne() {
    var limits = new ArrayList<Optional<Deadline>>();
    service.on(
        LeaseServiceGrpc.getAcquireLeaseMethod(),
        (request, answer) -> {
          limits.add(Optional.ofNullable(Context.current().getDeadline()));
          answer.onNext(AcquireLeaseResponse.getDefaultInstance());
          answer.onCompleted();
        });
    client.leases().acquireLease(AcquireLeaseRequest.getDefaultInstance());
    var limited = client.leases().withTimeout(Duration.ofMinutes(2));
    limited.acquireLease(AcquireLeaseRequest.getDefaultInstance());
    assertEquals(Optional.empty(), limits.get(0));
    assertLimit(110, 120, limits.get(1).orElseThrow().timeRemaining(TimeUnit.SECONDS));
  }

  @Test
  void isLimitedTo30SecondsUnlessTheCallerSaysOtherwise() {
    assertLimit(20, 30, limitOf(client.jobs()));
    assertLimit(590, 600, limitOf(client.jobs().withTimeout(Duration.ofMinutes(10))));
    assertLimit(5, 15, limitOf(client.jobs().withTimeout(Duration.ofSeconds(15))));
    limitOf(client.jobs().withTimeout(ChronoUnit.FOREVER.getDuration()));
  }

  @Test
  void endsAtItsLimit() {
    service.on(JobServiceGrpc.getGetJobMethod(), hold());
    var jobs = client.jobs().withTimeout(Duration.ofMillis(50));
    var error = assertThrows(PipewrightException.class, () -> jobs.getJob(GET));
    assertEquals(Code.DEADLINE_EXCEEDED, error.code());
  }

  @Test
  void endsAtItsLimitBetweenTries() throws Exception {
    service.on(JobServiceGrpc.getGetJobMethod(), fail(Status.UNAVAILABLE));
    var builder = PipewrightClient.builder(service.address());
    builder.pauses(Duration.ofHours(1), Duration.ofHours(1));
    try (var patient = builder.build()) {
      var jobs = patient.jobs().withTimeout(Duration.ofMillis(500));
      var error = assertThrows(PipewrightException.class, () -> jobs.getJob(GET));
      assertEquals(Code.DEADLINE_EXCEEDED, error.code());
    }
  }

  @Test
  void pausesForAsLongAsTheServiceAsksButNotBeyondItsLimit() {
    var calls =
        service.on(
            JobServiceGrpc.getGetJobMethod(),
            (request, answer) -> answer.onError(FakeService.RETRY_IN_AN_HOUR));
    var jobs = client.jobs().withTimeout(Duration.ofMillis(500));
    var error = assertThrows(PipewrightException.class, () -> jobs.getJob(GET));
    assertEquals(Code.DEADLINE_EXCEEDED, error.code());
    assertTrue(error.description().contains("come back later"), error.description());
    assertEquals(1, calls.requests().size());
  }

  @Test
  void hasALimitThatIsMoreThanNothing() {
    for (var limit : List.of(Duration.ZERO, Duration.ofSeconds(-1))) {
      assertThrows(IllegalArgumentException.class, () -> client.jobs().withTimeout(limit));
      assertThrows(IllegalArgumentException.class, () -> client.pipelines().withTimeout(limit));
      assertThrows(IllegalArgumentException.class, () -> client.runners().withTimeout(limit));
      assertThrows(IllegalArgumentException.class, () -> client.leases().withTimeout(limit));
    }
  }

  @Test
  void endsWithTheContextOfItsCaller() throws Exception {
    var calls = service.on(JobServiceGrpc.getGetJobMethod(), hold());
    try (var context = Context.current().withCancellation()) {
      var failed = CompletableFuture.supplyAsync(() -> failureWithin(context));
      assertEquals(GET, calls.awaitCall());
      context.cancel(null);
      assertEquals(Code.CANCELLED, failed.get(20, TimeUnit.SECONDS).code());
    }
  }

  @Test
  void endsWhenItsThreadIsInterrupted() throws Exception {
    var calls = service.on(JobServiceGrpc.getGetJobMethod(), hold());
    var failed = new Interruptible(() -> client.jobs().getJob(GET));
    assertEquals(GET, calls.awaitCall());
    failed.interrupt();
    assertEquals(Code.CANCELLED, failed.error().code());
    assertTrue(failed.wasStillInterrupted());
    assertEquals(GET, calls.awaitCancel());
  }

  @Test
  void endsWhenItsThreadIsInterruptedBetweenTries() throws Exception {
    var calls = service.on(JobServiceGrpc.getGetJobMethod(), fail(Status.UNAVAILABLE));
    var builder = PipewrightClient.builder(service.address());
    builder.pauses(Duration.ofSeconds(20), Duration.ofSeconds(20));
    try (var patient = builder.build()) {
      var failed = new Interruptible(() -> patient.jobs().getJob(GET));
      assertEquals(GET, calls.awaitCall());
      failed.interrupt();
      assertEquals(Code.CANCELLED, failed.error().code());
      assertTrue(failed.wasStillInterrupted());
    }
  }

  @Test
  void isNotTriedAgainOnceTheClientIsClosed() throws Exception {
    var builder = PipewrightClient.builder(service.address());
    builder.pauses(Duration.ofHours(1), Duration.ofHours(1));
    var patient = builder.build();
    patient.close();
    var error = assertThrows(PipewrightException.class, () -> patient.jobs().getJob(GET));
    assertClosed(error);
  }

  private static void assertClosed(PipewrightException error) {
    assertEquals(Code.CANCELLED, error.code());
    assertEquals("the client is closed", error.description());
  }

  private CreatePipelineRequest created(CreatePipelineRequest request) {
    var calls =
        service.on(
            PipelineServiceGrpc.getCreatePipelineMethod(),
            answer(CreatePipelineResponse.getDefaultInstance()));
    client.pipelines().createPipeline(request);
    return calls.requests().get(0);
  }

  private PipewrightException failure(GetJobRequest request) {
    return assertThrows(PipewrightException.class, () -> client.jobs().getJob(request));
  }

  private PipewrightException failureWithin(Context context) {
    return assertThrows(
        PipewrightException.class, () -> context.call(() -> client.jobs().getJob(GET)));
  }

  /** The deadline in seconds that the service received. */
  private long limitOf(Jobs jobs) {
    var seconds = new CompletableFuture<Long>();
    service.on(
        JobServiceGrpc.getGetJobMethod(),
        (request, answer) -> {
          seconds.complete(Context.current().getDeadline().timeRemaining(TimeUnit.SECONDS));
          answer.onNext(GOT);
          answer.onCompleted();
        });
    jobs.getJob(GET);
    return seconds.join();
  }

  private static void assertLimit(long least, long most, long limit) {
    assertTrue(least <= limit && limit <= most, limit + " s");
  }
}
