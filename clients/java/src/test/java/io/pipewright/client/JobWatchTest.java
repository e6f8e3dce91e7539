package io.pipewright.client;

import static io.pipewright.client.FakeService.answer;
import static io.pipewright.client.FakeService.fail;
import static io.pipewright.client.FakeService.hold;
import static io.pipewright.client.Messages.after;
import static io.pipewright.client.Messages.batch;
import static io.pipewright.client.Messages.end;
import static io.pipewright.client.Messages.event;
import static io.pipewright.client.Messages.events;
import static io.pipewright.client.Messages.got;
import static io.pipewright.client.Messages.heartbeat;
import static io.pipewright.client.Messages.job;
import static io.pipewright.client.Messages.snapshot;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.UnknownFieldSet;
import io.grpc.Context;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.pipewright.v1.GetJobRequest;
import io.pipewright.v1.GetJobResponse;
import io.pipewright.v1.Job;
import io.pipewright.v1.JobEvent;
import io.pipewright.v1.JobServiceGrpc;
import io.pipewright.v1.WatchJobRequest;
import io.pipewright.v1.WatchJobResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class JobWatchTest {
  private static final WatchJobRequest FROM_SNAPSHOT =
      WatchJobRequest.newBuilder().setJobId("j").build();
  private static final WatchJobRequest FROM_START = after(0);
  private static final WatchJobResponse HEARTBEAT = heartbeat(0);

  private FakeService service;
  private PipewrightClient client;

  @BeforeEach
  void start() throws Exception {
    service = new FakeService();
    client = service.client();
  }

  @AfterEach
  void stop() {
    client.close();
    service.close();
  }

  @Test
  void givesASnapshotAndWhatFollowsUntilTheJobIsOver() {
    var calls = script(answer(snapshot(3), events(4, 5), end(6)));
    var updates = watch(FROM_SNAPSHOT);
    assertEquals(List.of(3L, 4L, 5L, 6L), sequences(updates));
    assertEquals(new JobUpdate.Snapshot(snapshot(3).getSnapshot()), updates.get(0));
    assertEquals(new JobUpdate.Event(event(4)), updates.get(1));
    assertEquals(Optional.empty(), updates.get(0).ended());
    assertEquals(Optional.empty(), updates.get(1).ended());
    assertEquals(Optional.of(job(6, Job.State.STATE_SUCCEEDED)), updates.get(3).ended());
    assertEquals(List.of(FROM_SNAPSHOT), calls.requests());
  }

  @Test
  void asksForASnapshotOfAJobThatIsGivenByItsId() {
    var calls = script(answer(end(1)));
    client.watchJob("j").forEach(update -> {});
    assertEquals(List.of(FROM_SNAPSHOT), calls.requests());
  }

  @ParameterizedTest
  @EnumSource(names = {"STATE_SUCCEEDED", "STATE_FAILED", "STATE_CANCELLED"})
  void endsWithASnapshotOfAnEndedJob(Job.State state) {
    script(answer(snapshot(7, state)));
    var updates = watch(FROM_SNAPSHOT);
    assertEquals(List.of(7L), sequences(updates));
    assertEquals(Optional.of(job(7, state)), updates.get(0).ended());
  }

  @Test
  void doesNotWaitForTheCallToEndOnceTheJobIsOver() throws Exception {
    var calls = script(hold(events(1), end(2)));
    assertEquals(List.of(1L, 2L), sequences(watch(FROM_START)));
    assertEquals(FROM_START, calls.awaitCancel());
  }

  @Test
  void goesOnAfterTheLastEventAndDropsRepeats() {
    var calls =
        script(
            fail(Status.UNAVAILABLE, events(1, 2)),
            fail(Status.INTERNAL, events(1, 2, 3)),
            fail(Status.CANCELLED),
            fail(Status.RESOURCE_EXHAUSTED, events(2), events(3, 4)),
            answer(end(5)));
    assertEquals(List.of(1L, 2L, 3L, 4L, 5L), sequences(watch(FROM_START)));
    assertEquals(List.of(0L, 2L, 3L, 3L, 4L), asked(calls));
  }

  @Test
  void goesOnAfterASnapshotThatWasNotAskedForByNumber() {
    var calls = script(fail(Status.UNAVAILABLE, snapshot(3)), answer(end(4)));
    assertEquals(List.of(3L, 4L), sequences(watch(FROM_SNAPSHOT)));
    assertFalse(calls.requests().get(0).hasLastSeenSequence());
    assertEquals(after(3), calls.requests().get(1));
  }

  @Test
  void asksForASnapshotAgainIfNoneHasCome() {
    var calls = script(fail(Status.UNAVAILABLE), fail(Status.INTERNAL, HEARTBEAT), answer(end(1)));
    assertEquals(List.of(1L), sequences(watch(FROM_SNAPSHOT)));
    assertEquals(List.of(FROM_SNAPSHOT, FROM_SNAPSHOT, FROM_SNAPSHOT), calls.requests());
  }

  @Test
  void doesNotGiveOutWhatComesAfterAGap() throws Exception {
    var calls = script(hold(events(1, 2, 4), events(5)), answer(events(3, 4), end(5)));
    assertEquals(List.of(1L, 2L, 3L, 4L, 5L), sequences(watch(FROM_START)));
    assertEquals(List.of(0L, 2L), asked(calls));
    assertEquals(FROM_START, calls.awaitCancel());
  }

  @Test
  void takesAHeartbeatAheadOfItForAGap() {
    var calls = script(hold(events(1), heartbeat(2)), answer(end(2)));
    assertEquals(List.of(1L, 2L), sequences(watch(FROM_START)));
    assertEquals(List.of(0L, 1L), asked(calls));
  }

  @Test
  void takesSnapshotsForwardsAndBackwards() {
    var calls =
        script(
            fail(Status.UNAVAILABLE, events(1), snapshot(9), events(10)),
            fail(Status.UNAVAILABLE, snapshot(2), events(3, 10)),
            answer(events(4), end(5)));
    assertEquals(List.of(1L, 9L, 10L, 2L, 3L, 4L, 5L), sequences(watch(FROM_START)));
    assertEquals(List.of(0L, 10L, 3L), asked(calls));
  }

  @Test
  void passesOverWhatItDoesNotKnowButCountsChanges() {
    var unknown = UnknownFieldSet.newBuilder();
    unknown.addField(99, UnknownFieldSet.Field.newBuilder().addVarint(1).build());
    var payload = WatchJobResponse.newBuilder().setUnknownFields(unknown.build()).build();
    var change = JobEvent.newBuilder().setSequence(1).setUnknownFields(unknown.build());
    var calls =
        script(fail(Status.UNAVAILABLE, payload, batch(change.build()), HEARTBEAT), answer(end(2)));
    var updates = watch(FROM_START);
    assertEquals(List.of(1L, 2L), sequences(updates));
    assertEquals(new JobUpdate.Event(change.build()), updates.get(0));
    assertEquals(List.of(0L, 1L), asked(calls));
  }

  @Test
  void connectsAnewAfterThreeSilentIntervals() throws Exception {
    var calls =
        script(
            (request, answer) ->
                answer.onNext(request.getLastSeenSequence() == 0 ? events(1) : end(2)));
    assertEquals(List.of(1L, 2L), sequences(impatientWatch()));
    assertEquals(FROM_START, calls.awaitCancel());
  }

  @Test
  void connectsAnewWhereNotEvenTheBeginningComes() throws Exception {
    var calls = script(hold(), answer(end(1)));
    assertEquals(List.of(1L), sequences(impatientWatch()));
    assertEquals(FROM_START, calls.awaitCancel());
  }

  @ParameterizedTest
  @CsvSource({
    "0,0,3000",
    "0,100000000,3000",
    "-5,0,3000",
    "2,500000000,7500",
    "61,0,180000",
    "9000000000000000000,999999999,180000",
    "-9000000000000000000,-999999999,3000",
  })
  void takesTheNearestValidIntervalForItsClock(long seconds, int nanos, long silence) {
    var request = FROM_START.toBuilder();
    request.getHeartbeatIntervalBuilder().setSeconds(seconds).setNanos(nanos);
    assertEquals(Duration.ofMillis(silence), JobWatch.silence(request.build()));
    assertEquals(Duration.ofSeconds(45), JobWatch.silence(FROM_START));
    script(fail(Status.INVALID_ARGUMENT));
    assertEquals(Code.INVALID_ARGUMENT, failure(request.build()).code());
  }

  @Test
  void cancelsTheCallThatHasAGapAtOnce() throws Exception {
    var calls = script(hold(events(1), heartbeat(2)), hold());
    var waiting = new Interruptible(() -> client.watchJob(FROM_START).forEach(update -> {}));
    assertEquals(FROM_START, calls.awaitCancel());
    client.close();
    assertClosed(waiting.error());
  }

  @Test
  void startsItsPausesOverWithAMessage() {
    script(
        fail(Status.UNAVAILABLE, HEARTBEAT),
        fail(Status.UNAVAILABLE),
        fail(Status.UNAVAILABLE),
        fail(Status.UNAVAILABLE),
        answer(end(1)));
    var pauses = new Pauses(Duration.ofMillis(1), Duration.ofHours(1));
    var backoff = pauses.begin();
    var gate = new Gate(pauses, System::nanoTime);
    var address = Address.parse(service.address());
    var security = InsecureChannelCredentials.create();
    try (var connection = new Connection(address, security, null, Optional.empty(), gate)) {
      var caller = new Caller(connection, () -> backoff, Optional.empty());
      new JobWatch(caller, FROM_START, Duration.ofSeconds(20)).forEach(update -> {});
    }
    assertTrue(backoff.next().compareTo(pauses.first()) <= 0);
  }

  @Test
  void pausesForAsLongAsTheServiceAsks() throws Exception {
    var calls = script((request, answer) -> answer.onError(FakeService.RETRY_IN_AN_HOUR));
    var timer = Executors.newSingleThreadScheduledExecutor();
    try (var context = Context.current().withDeadlineAfter(500, TimeUnit.MILLISECONDS, timer)) {
      var watch = context.call(() -> client.watchJob(FROM_START));
      var error = assertThrows(PipewrightException.class, () -> watch.forEach(update -> {}));
      assertEquals(Code.DEADLINE_EXCEEDED, error.code());
    } finally {
      timer.shutdownNow();
    }
    assertEquals(1, calls.requests().size());
  }

  @Test
  void asksForTheJobIfTheEndWasNotSeen() {
    script(answer(events(1)));
    var asked = onGetJob(answer(got(job(5, Job.State.STATE_FAILED))));
    var updates = watch(FROM_START);
    assertEquals(List.of(1L, 5L), sequences(updates));
    assertEquals(Optional.of(job(5, Job.State.STATE_FAILED)), updates.get(1).ended());
    assertTrue(updates.get(1) instanceof JobUpdate.Snapshot);
    assertEquals(List.of(GetJobRequest.newBuilder().setJobId("j").build()), asked.requests());
  }

  @Test
  void goesOnIfTheJobHasNotEndedAfterAll() {
    var calls = script(answer(events(1)), answer(end(2)));
    onGetJob(answer(got(job(1, Job.State.STATE_RUNNING))));
    assertEquals(List.of(1L, 2L), sequences(watch(FROM_START)));
    assertEquals(List.of(0L, 1L), asked(calls));
  }

  @Test
  void goesOnIfTheJobCannotBeAskedFor() {
    var calls = script(answer(events(1)), answer(end(2)));
    onGetJob(fail(Status.INTERNAL));
    assertEquals(List.of(1L, 2L), sequences(watch(FROM_START)));
    assertEquals(List.of(0L, 1L), asked(calls));
  }

  @Test
  void failsIfTheJobIsGone() {
    script(answer(events(1)));
    onGetJob(fail(Status.NOT_FOUND));
    assertEquals(Code.NOT_FOUND, failure(FROM_START).code());
  }

  @ParameterizedTest
  @EnumSource(
      names = {
        "NOT_FOUND",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "INVALID_ARGUMENT",
        "UNIMPLEMENTED"
      })
  void failsAtOnceWithAFinalError(Code code) {
    var calls = script(fail(code.toStatus().withDescription("why")));
    var error = failure(FROM_START);
    assertEquals(code, error.code());
    assertEquals("why", error.description());
    assertEquals(1, calls.requests().size());
  }

  @ParameterizedTest
  @EnumSource(names = {"NOT_FOUND", "UNAUTHENTICATED"})
  void failsWithAFinalErrorLaterToo(Code code) {
    script(fail(Status.UNAVAILABLE, events(1)), fail(code.toStatus()));
    var updates = client.watchJob(FROM_START).iterator();
    assertEquals(1, updates.next().sequence());
    assertEquals(code, assertThrows(PipewrightException.class, updates::hasNext).code());
    assertFalse(updates.hasNext());
    assertThrows(NoSuchElementException.class, updates::next);
  }

  @Test
  void failsWithTheFifthFailureIfNothingHasEverCome() {
    var calls =
        script(
            fail(Status.UNAVAILABLE),
            fail(Status.INTERNAL),
            fail(Status.UNAVAILABLE),
            fail(Status.UNAVAILABLE),
            fail(Status.ABORTED.withDescription("the fifth")),
            answer(end(1)));
    assertEquals("the fifth", failure(FROM_START).description());
    assertEquals(5, calls.requests().size());
  }

  @Test
  void hasNoLimitOfFailuresOnceAMessageHasCome() {
    var failed = FakeService.<WatchJobRequest, WatchJobResponse>fail(Status.UNAVAILABLE);
    script(
        fail(Status.UNAVAILABLE, HEARTBEAT),
        failed,
        failed,
        failed,
        failed,
        failed,
        failed,
        failed,
        failed,
        answer(end(1)));
    assertEquals(List.of(1L), sequences(watch(FROM_START)));
  }

  @Test
  void hasNoLimitOfTime() {
    var deadline = new CompletableFuture<Optional<Object>>();
    script(
        (request, answer) -> {
          deadline.complete(Optional.ofNullable(Context.current().getDeadline()));
          answer.onNext(end(1));
          answer.onCompleted();
        });
    watch(FROM_START);
    assertEquals(Optional.empty(), deadline.join());
  }

  @Test
  void tellsTheServiceWhenItIsLeft() throws Exception {
    var calls = script(hold(events(1, 2)));
    try (var watch = client.watchJob(FROM_START)) {
      for (JobUpdate update : watch) {
        assertEquals(1, update.sequence());
        break;
      }
      assertNull(calls.cancelled().poll());
    }
    assertEquals(FROM_START, calls.awaitCancel());
  }

  @Test
  void endsForWhoWaitsWhenAnotherThreadClosesIt() throws Exception {
    var calls = script(hold());
    var watch = client.watchJob(FROM_START);
    var waiting = new Interruptible(() -> watch.iterator().hasNext());
    calls.awaitCall();
    watch.close();
    var error = waiting.error();
    assertEquals(Code.CANCELLED, error.code());
    assertEquals("it is closed", error.description());
    assertEquals(FROM_START, calls.awaitCancel());
  }

  @Test
  void endsAtOnceWhenItIsClosedInAPause() throws Exception {
    var calls = script(fail(Status.UNAVAILABLE));
    try (var patient = patient()) {
      var watch = patient.watchJob(FROM_START);
      var waiting = new Interruptible(() -> watch.iterator().hasNext());
      calls.awaitCall();
      watch.close();
      assertEquals(Code.CANCELLED, waiting.error().code());
    }
  }

  @Test
  void endsWhenItsThreadIsInterrupted() throws Exception {
    var calls = script(hold());
    var waiting = new Interruptible(() -> client.watchJob(FROM_START).iterator().hasNext());
    calls.awaitCall();
    waiting.interrupt();
    assertEquals(Code.CANCELLED, waiting.error().code());
    assertTrue(waiting.wasStillInterrupted());
    assertEquals(FROM_START, calls.awaitCancel());
  }

  @Test
  void endsWhenItsThreadIsInterruptedInAPause() throws Exception {
    var calls = script(fail(Status.UNAVAILABLE));
    try (var patient = patient()) {
      var waiting = new Interruptible(() -> patient.watchJob(FROM_START).iterator().hasNext());
      calls.awaitCall();
      waiting.interrupt();
      assertEquals(Code.CANCELLED, waiting.error().code());
      assertTrue(waiting.wasStillInterrupted());
    }
  }

  @Test
  void endsWithTheDeadlineOfItsContext() throws Exception {
    script(hold(events(1)));
    var timer = Executors.newSingleThreadScheduledExecutor();
    try (var context = Context.current().withDeadlineAfter(200, TimeUnit.MILLISECONDS, timer)) {
      var watch = context.call(() -> client.watchJob(FROM_START));
      var error = assertThrows(PipewrightException.class, () -> watch.forEach(update -> {}));
      assertEquals(Code.DEADLINE_EXCEEDED, error.code());
    } finally {
      timer.shutdownNow();
    }
  }

  @Test
  void endsWithTheClient() throws Exception {
    script(hold(events(1)));
    var updates = client.watchJob(FROM_START).iterator();
    updates.next();
    client.close();
    assertClosed(assertThrows(PipewrightException.class, updates::hasNext));
  }

  @Test
  void hasOneLoop() {
    script(answer(end(1)));
    var watch = client.watchJob(FROM_START);
    watch.forEach(update -> {});
    assertThrows(IllegalStateException.class, watch::iterator);
  }

  @Test
  void hasNothingMoreAfterTheEnd() {
    script(answer(end(1)));
    var updates = client.watchJob(FROM_START).iterator();
    assertTrue(updates.hasNext());
    assertEquals(1, updates.next().sequence());
    assertThrows(NoSuchElementException.class, updates::next);
  }

  @SafeVarargs
  @SuppressWarnings("varargs") // The array is only read.
  private FakeService.Calls<WatchJobRequest> script(
      FakeService.Step<WatchJobRequest, WatchJobResponse>... steps) {
    return service.on(JobServiceGrpc.getWatchJobMethod(), steps);
  }

  private FakeService.Calls<GetJobRequest> onGetJob(
      FakeService.Step<GetJobRequest, GetJobResponse> step) {
    return service.on(JobServiceGrpc.getGetJobMethod(), step);
  }

  private List<JobUpdate> watch(WatchJobRequest request) {
    List<JobUpdate> updates = new ArrayList<>();
    client.watchJob(request).forEach(updates::add);
    return updates;
  }

  /** A watch with a shorter silence limit than any that can be set. */
  private List<JobUpdate> impatientWatch() {
    List<JobUpdate> updates = new ArrayList<>();
    client.watchJob(FROM_START, Duration.ofMillis(300)).forEach(updates::add);
    return updates;
  }

  private PipewrightException failure(WatchJobRequest request) {
    return assertThrows(PipewrightException.class, () -> watch(request));
  }

  /** A client whose pauses are longer than a test may take. */
  private PipewrightClient patient() {
    return PipewrightClient.builder(service.address())
        .pauses(Duration.ofHours(1), Duration.ofHours(1))
        .build();
  }

  private static void assertClosed(PipewrightException error) {
    assertEquals(Code.CANCELLED, error.code());
    assertEquals("the client is closed", error.description());
  }

  private static List<Long> sequences(List<JobUpdate> updates) {
    return updates.stream().map(JobUpdate::sequence).toList();
  }

  private static List<Long> asked(FakeService.Calls<WatchJobRequest> calls) {
    return calls.requests().stream().map(WatchJobRequest::getLastSeenSequence).toList();
  }
}
