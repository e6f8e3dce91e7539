package io.pipewright.client;

import static io.pipewright.client.FakeService.answer;
import static io.pipewright.client.FakeService.fail;
import static io.pipewright.client.FakeService.hold;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnknownFieldSet;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.pipewright.v1.JobServiceGrpc;
import io.pipewright.v1.LogChunk;
import io.pipewright.v1.LogEnd;
import io.pipewright.v1.LogGap;
import io.pipewright.v1.LogHeartbeat;
import io.pipewright.v1.ReadStageLogRequest;
import io.pipewright.v1.ReadStageLogResponse;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class LogReaderTest {
  private static final int ATTEMPT = 2;
  private static final ReadStageLogRequest ALL =
      ReadStageLogRequest.newBuilder().setJobId("j").setStageName("s").build();

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
  void givesBytesAndGapsUntilTheCallEnds() {
    var calls = script(answer(heartbeat(0), chunk(0, "abc"), gap(3, 7), chunk(7, "hi"), end(9)));
    assertEquals(
        List.of(
            bytes(0, "abc"),
            new LogPiece.Gap(3, 7, LogGap.Reason.REASON_SIZE_LIMIT),
            bytes(7, "hi")),
        read(ALL));
    assertEquals(List.of(ALL), calls.requests());
  }

  @Test
  void readsTheNewestAttemptFromItsBeginningUnlessToldOtherwise() {
    var calls = script(answer());
    client.readLog("j", "s").forEach(piece -> {});
    assertEquals(List.of(ALL), calls.requests());
  }

  @Test
  void goesOnIfACallEndsBeforeTheLogThatItFollows() {
    var wanted = ALL.toBuilder().setFollow(true).build();
    var calls = script(answer(chunk(0, "abc")), answer(), answer(chunk(3, "d"), end(4)));
    assertEquals(List.of(bytes(0, "abc"), bytes(3, "d")), read(wanted));
    assertEquals(List.of(wanted, from(wanted, 3), from(wanted, 3)), calls.requests());
  }

  @Test
  void endsWithTheCallThatFollowsUpToALimit() {
    var calls = script(answer(chunk(0, "abc")));
    read(ALL.toBuilder().setFollow(true).setLimitBytes(5).build());
    assertEquals(1, calls.requests().size());
  }

  @Test
  void takesThreeHeartbeatsForSilence() {
    assertEquals(Duration.ofSeconds(45), LogReader.SILENCE);
  }

  @Test
  void goesOnInTheSameAttemptWhereTheLastMessageEnded() {
    var calls =
        script(
            fail(Status.UNAVAILABLE, chunk(0, "abc")),
            fail(Status.INTERNAL),
            fail(Status.CANCELLED, gap(3, 7), heartbeat(7)),
            answer(chunk(7, "hi"), end(9)));
    var wanted = ALL.toBuilder().setFollow(true).build();
    assertEquals(3, read(wanted).size());
    assertEquals(
        List.of(wanted, from(wanted, 3), from(wanted, 3), from(wanted, 7)), calls.requests());
  }

  @Test
  void goesOnAfterAMessageThatItDoesNotKnow() {
    var unknown = UnknownFieldSet.newBuilder();
    unknown.addField(99, UnknownFieldSet.Field.newBuilder().addVarint(1).build());
    var payload = message(5).setUnknownFields(unknown.build()).build();
    var calls = script(fail(Status.UNAVAILABLE, payload), answer(chunk(5, "f")));
    assertEquals(List.of(bytes(5, "f")), read(ALL));
    assertEquals(List.of(ALL, from(ALL, 5)), calls.requests());
  }

  @Test
  void cutsOffWhatIsRepeated() {
    script(
        answer(
            chunk(0, "abc"),
            chunk(1, "bc"),
            chunk(0, "abc"),
            chunk(1, "bcde"),
            gap(2, 5),
            gap(3, 7),
            chunk(7, "h")));
    assertEquals(
        List.of(
            bytes(0, "abc"),
            bytes(3, "de"),
            new LogPiece.Gap(5, 7, LogGap.Reason.REASON_SIZE_LIMIT),
            bytes(7, "h")),
        read(ALL));
  }

  @Test
  void doesNotGiveOutWhatComesAfterAHole() throws Exception {
    var calls =
        script(hold(chunk(0, "ab"), chunk(3, "d")), hold(gap(4, 6)), answer(chunk(2, "cd")));
    assertEquals(List.of(bytes(0, "ab"), bytes(2, "cd")), read(ALL));
    assertEquals(List.of(ALL, from(ALL, 2), from(ALL, 2)), calls.requests());
    assertEquals(ALL, calls.awaitCancel());
  }

  @Test
  void takesAnyBeginningWhereItCountsFromTheEnd() {
    var wanted = ALL.toBuilder().setOffset(-4).build();
    var calls =
        script(
            fail(Status.UNAVAILABLE),
            fail(Status.UNAVAILABLE, chunk(96, "ab")),
            answer(chunk(97, "bcd")));
    assertEquals(List.of(bytes(96, "ab"), bytes(98, "cd")), read(wanted));
    assertEquals(List.of(wanted, wanted, from(wanted, 98)), calls.requests());
  }

  @Test
  void asksForWhatIsLeftOfItsLimitAndCountsOnlyBytes() {
    var wanted = ALL.toBuilder().setLimitBytes(5).build();
    var calls =
        script(fail(Status.UNAVAILABLE, chunk(0, "ab"), gap(2, 100)), answer(chunk(99, "xcde")));
    assertEquals(3, read(wanted).size());
    assertEquals(
        List.of(wanted, from(wanted, 100).toBuilder().setLimitBytes(3).build()), calls.requests());
  }

  @Test
  void makesNoCallWhenNothingIsLeft() throws Exception {
    var wanted = ALL.toBuilder().setLimitBytes(2).build();
    var calls = script(fail(Status.UNAVAILABLE, chunk(0, "ab")));
    assertEquals(List.of(bytes(0, "ab")), read(wanted));
    assertEquals(1, calls.requests().size());
  }

  @Test
  void connectsAnewAfterSilence() throws Exception {
    var calls =
        script(
            (request, answer) -> {
              boolean isNew = request.getOffset() == 0;
              answer.onNext(isNew ? chunk(0, "a") : chunk(1, "b"));
              if (!isNew) {
                answer.onCompleted();
              }
            });
    List<LogPiece> pieces = new ArrayList<>();
    client.readLog(ALL, Duration.ofMillis(300)).forEach(pieces::add);
    assertEquals(List.of(bytes(0, "a"), bytes(1, "b")), pieces);
    assertEquals(ALL, calls.awaitCancel());
  }

  @ParameterizedTest
  @EnumSource(
      names = {
        "NOT_FOUND",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "INVALID_ARGUMENT",
        "UNIMPLEMENTED",
        "OUT_OF_RANGE"
      })
  void failsAtOnceWithAFinalError(Code code) {
    var calls = script(fail(code.toStatus(), chunk(0, "a")));
    assertEquals(code, failure().code());
    assertEquals(1, calls.requests().size());
  }

  @Test
  void failsWithTheFifthFailureIfNothingHasEverCome() {
    var calls = script(fail(Status.UNAVAILABLE));
    assertEquals(Code.UNAVAILABLE, failure().code());
    assertEquals(5, calls.requests().size());
  }

  @Test
  void hasNoLimitOfFailuresOnceAMessageHasCome() {
    var failed = FakeService.<ReadStageLogRequest, ReadStageLogResponse>fail(Status.UNAVAILABLE);
    script(
        fail(Status.UNAVAILABLE, heartbeat(0)),
        failed,
        failed,
        failed,
        failed,
        failed,
        failed,
        answer(chunk(0, "a")));
    assertEquals(List.of(bytes(0, "a")), read(ALL));
  }

  @Test
  void hasNoLimitOfTime() {
    var deadline = new CompletableFuture<Optional<Object>>();
    script(
        (request, answer) -> {
          deadline.complete(Optional.ofNullable(Context.current().getDeadline()));
          answer.onCompleted();
        });
    read(ALL);
    assertEquals(Optional.empty(), deadline.join());
  }

  @Test
  void tellsTheServiceWhenItIsLeft() throws Exception {
    var calls = script(hold(chunk(0, "a"), chunk(1, "b")));
    try (var log = client.readLog(ALL)) {
      assertEquals(bytes(0, "a"), log.iterator().next());
    }
    assertEquals(ALL, calls.awaitCancel());
  }

  @Test
  void endsWhenItsThreadIsInterrupted() throws Exception {
    var calls = script(hold());
    var waiting = new Interruptible(() -> client.readLog(ALL).iterator().hasNext());
    calls.awaitCall();
    waiting.interrupt();
    assertEquals(Code.CANCELLED, waiting.error().code());
    assertEquals(ALL, calls.awaitCancel());
  }

  @Test
  void writesItsBytesToAStream() throws Exception {
    script(answer(chunk(0, "abc"), gap(3, 7), chunk(7, "hi")));
    var out = new ByteArrayOutputStream();
    assertEquals(5, client.readLog(ALL).transferTo(out));
    assertEquals("abchi", out.toString(UTF_8));
  }

  @Test
  void isClosedWhenItCannotBeWritten() throws Exception {
    var calls = script(hold(chunk(0, "abc")));
    var full = OutputStream.nullOutputStream();
    full.close();
    assertThrows(IOException.class, () -> client.readLog(ALL).transferTo(full));
    assertEquals(ALL, calls.awaitCancel());
  }

  @Test
  void hasOneLoop() {
    script(answer());
    var log = client.readLog(ALL);
    log.forEach(piece -> {});
    assertThrows(IllegalStateException.class, log::iterator);
  }

  @SafeVarargs
  @SuppressWarnings("varargs") // The array is only read.
  private FakeService.Calls<ReadStageLogRequest> script(
      FakeService.Step<ReadStageLogRequest, ReadStageLogResponse>... steps) {
    return service.on(JobServiceGrpc.getReadStageLogMethod(), steps);
  }

  private List<LogPiece> read(ReadStageLogRequest request) {
    List<LogPiece> pieces = new ArrayList<>();
    client.readLog(request).forEach(pieces::add);
    return pieces;
  }

  private PipewrightException failure() {
    return assertThrows(PipewrightException.class, () -> read(ALL));
  }

  /** A request that resumes at this offset, in the attempt of the messages. */
  private static ReadStageLogRequest from(ReadStageLogRequest request, long offset) {
    return request.toBuilder().setOffset(offset).setAttempt(ATTEMPT).build();
  }

  private static LogPiece bytes(long offset, String text) {
    return new LogPiece.Bytes(offset, ByteString.copyFromUtf8(text));
  }

  private static ReadStageLogResponse chunk(long offset, String text) {
    var data = ByteString.copyFromUtf8(text);
    return message(offset + data.size())
        .setChunk(LogChunk.newBuilder().setOffset(offset).setData(data))
        .build();
  }

  private static ReadStageLogResponse gap(long start, long end) {
    var gap = LogGap.newBuilder().setStartOffset(start).setEndOffset(end);
    return message(end).setGap(gap.setReason(LogGap.Reason.REASON_SIZE_LIMIT)).build();
  }

  private static ReadStageLogResponse heartbeat(long offset) {
    return message(offset).setHeartbeat(LogHeartbeat.getDefaultInstance()).build();
  }

  private static ReadStageLogResponse end(long size) {
    return message(size).setEnd(LogEnd.newBuilder().setSizeBytes(size)).build();
  }

  private static ReadStageLogResponse.Builder message(long nextOffset) {
    return ReadStageLogResponse.newBuilder().setNextOffset(nextOffset).setAttempt(ATTEMPT);
  }
}
