package io.pipewright.client;

import static io.pipewright.client.FakeService.answer;
import static io.pipewright.client.FakeService.hold;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import io.grpc.InsecureServerCredentials;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import io.pipewright.v1.GetJobRequest;
import io.pipewright.v1.GetJobResponse;
import io.pipewright.v1.Job;
import io.pipewright.v1.JobServiceGrpc;
import io.pipewright.v1.ListJobsRequest;
import io.pipewright.v1.ListJobsResponse;
import io.pipewright.v1.LogChunk;
import io.pipewright.v1.PipelineServiceGrpc;
import io.pipewright.v1.ReadStageLogRequest;
import io.pipewright.v1.ReadStageLogResponse;
import io.pipewright.v1.TriggerPipelineRequest;
import io.pipewright.v1.TriggerPipelineResponse;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ConnectionTest {
  private static final GetJobRequest GET = GetJobRequest.getDefaultInstance();
  private static final GetJobResponse GOT = GetJobResponse.getDefaultInstance();

  private FakeService service;

  @BeforeEach
  void start() throws Exception {
    service = new FakeService();
    service.on(JobServiceGrpc.getGetJobMethod(), answer(GOT));
  }

  @AfterEach
  void stop() {
    service.close();
  }

  /** Before, within and after the first bytes of both sides, and within the response. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1, 20, 60, 200, 5_000, 50_000, 100_000, 300_000})
  void callIsTriedAgainWhereverItsConnectionBreaks(int answered) throws Exception {
    var job = Job.newBuilder().setCommitId("0".repeat(500_000)).build();
    var answer = ListJobsResponse.newBuilder().addJobs(job).build();
    service.on(JobServiceGrpc.getListJobsMethod(), answer(answer));
    try (var proxy = new CuttingProxy(service, 2, answered);
        var client = client(proxy.address())) {
      assertEquals(answer, client.jobs().listJobs(ListJobsRequest.getDefaultInstance()));
      assertTrue(proxy.connections.get() > 2);
    }
  }

  @Test
  void callThatReachedTheServiceIsTriedAgainAsTheSame() throws Exception {
    var answer =
        TriggerPipelineResponse.newBuilder()
            .setJob(Job.newBuilder().setCommitId("0".repeat(100_000)))
            .build();
    var calls = service.on(PipelineServiceGrpc.getTriggerPipelineMethod(), answer(answer));
    try (var proxy = new CuttingProxy(service, 1, 50_000);
        var client = client(proxy.address())) {
      var request = TriggerPipelineRequest.getDefaultInstance();
      assertEquals(answer, client.pipelines().triggerPipeline(request));
    }
    assertEquals(2, calls.requests().size());
    assertEquals(calls.requests().get(0), calls.requests().get(1));
  }

  @Test
  void serviceThatComesBackIsFoundWithTheNextTry() throws Exception {
    try (var client = client(service.address())) {
      service.stop();
      for (int i = 0; i < 3; i++) {
        // The library waits longer after each of these, and fails calls meanwhile.
        assertThrows(PipewrightException.class, () -> client.jobs().getJob(GET));
      }
      try (var back = new FakeService(service.port(), InsecureServerCredentials.create())) {
        back.on(JobServiceGrpc.getGetJobMethod(), answer(GOT));
        assertEquals(GOT, client.jobs().getJob(GET));
        assertEquals(1, back.headers.size());
      }
    }
  }

  @Test
  void watchFindsAServiceThatComesBack() throws Exception {
    var first = service.on(JobServiceGrpc.getWatchJobMethod(), hold(Messages.events(1)));
    try (var client = client(service.address());
        var watch = client.watchJob(Messages.after(0))) {
      Iterator<JobUpdate> updates = watch.iterator();
      assertEquals(1, updates.next().sequence());
      assertEquals(Messages.after(0), first.awaitCall());
      service.stop();
      try (var back = new FakeService(service.port(), InsecureServerCredentials.create())) {
        var second = back.on(JobServiceGrpc.getWatchJobMethod(), answer(Messages.end(2)));
        assertEquals(2, updates.next().sequence());
        assertEquals(List.of(Messages.after(1)), second.requests());
      }
    }
  }

  @Test
  void watchesPauseAsOneBeforeTheyConnectAgain() throws Exception {
    var calls = service.on(JobServiceGrpc.getWatchJobMethod(), hold(Messages.events(1)));
    var builder = FakeService.impatient(PipewrightClient.builder(service.address()));
    try (var client = builder.connectionPauses(Duration.ofHours(1), Duration.ofHours(1)).build()) {
      for (int i = 0; i < 20; i++) {
        new Interruptible(() -> client.watchJob(Messages.after(0)).forEach(update -> {}));
        calls.awaitCall();
      }
      service.stop();
      try (var broken = new RawService(service.port())) {
        var jobs = client.jobs().withTimeout(Duration.ofMillis(500));
        var error = assertThrows(PipewrightException.class, () -> jobs.getJob(GET));
        assertEquals(Code.DEADLINE_EXCEEDED, error.code());
        // Without the shared pause each of the watches would open a connection, or more.
        assertTrue(broken.connections.get() <= 3, "connections: " + broken.connections);
      }
    }
  }

  /** More is sent than any connection's window, and it is not read. */
  @Test
  void streamsThatNobodyReadsDoNotHangOthers() throws Exception {
    service.on(JobServiceGrpc.getReadStageLogMethod(), ConnectionTest::send16MebiBytes);
    try (var client = client(service.address())) {
      for (int i = 0; i < 20; i++) {
        assertTrue(client.readLog("unread", "s").iterator().hasNext());
      }
      int pieces = 0;
      for (LogPiece piece : client.readLog("read", "s")) {
        pieces++;
      }
      assertEquals(256, pieces);
    }
  }

  @Test
  void stubsOfTheCallersChoiceHaveTheConnectionAndItsEnd() {
    var client = client(service.address());
    var jobs = JobServiceGrpc.newBlockingStub(client.channel());
    assertEquals(GOT, jobs.getJob(GET));
    client.close();
    assertThrows(StatusRuntimeException.class, () -> jobs.getJob(GET));
  }

  private static void send16MebiBytes(
      ReadStageLogRequest request, StreamObserver<ReadStageLogResponse> answer) {
    var data = ByteString.copyFrom(new byte[64 * 1024]);
    for (int offset = 0; offset < 16 * 1024 * 1024; offset += data.size()) {
      var chunk = LogChunk.newBuilder().setOffset(offset).setData(data);
      int next = offset + data.size();
      answer.onNext(ReadStageLogResponse.newBuilder().setChunk(chunk).setNextOffset(next).build());
    }
    answer.onCompleted();
  }

  /** With pauses so long that the library has noticed the broken connection by then. */
  private static PipewrightClient client(String address) {
    return PipewrightClient.builder(address)
        .pauses(Duration.ofMillis(50), Duration.ofMillis(50))
        .build();
  }
}
