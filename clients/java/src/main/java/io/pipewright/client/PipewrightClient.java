package io.pipewright.client;

import io.grpc.Channel;
import io.pipewright.v1.ReadStageLogRequest;
import io.pipewright.v1.WatchJobRequest;
import java.time.Duration;
import java.util.Optional;

/**
 * A client of a Pipewright service. Threads may share one; it keeps one connection, which the first
 * call opens.
 *
 * <pre>{@code
 * try (var client = PipewrightClient.builder("127.0.0.1:50051").build()) {
 *   var request = GetJobRequest.newBuilder().setJobId(id).build();
 *   System.out.println(client.jobs().getJob(request).getJob().getState());
 * }
 * }</pre>
 */
public final class PipewrightClient implements AutoCloseable {
  private static final Duration USUAL_LIMIT = Duration.ofSeconds(30);

  private final Address address;
  private final Connection connection;
  private final Caller caller;

  PipewrightClient(Address address, Connection connection, Pauses pauses) {
    this.address = address;
    this.connection = connection;
    this.caller = new Caller(connection, pauses::begin, Optional.of(USUAL_LIMIT));
  }

  /**
   * A client of the service at this address: {@code https://host:port}, {@code http://host:port},
   * or {@code host:port} for {@code http}; without a port 443 or 80, by scheme.
   *
   * @throws IllegalArgumentException if the address is invalid
   */
  public static ClientBuilder builder(String address) {
    return new ClientBuilder(Address.parse(address));
  }

  /** Manages pipelines and starts their jobs. */
  public Pipelines pipelines() {
    return new Pipelines(caller);
  }

  /** Shows and controls jobs. */
  public Jobs jobs() {
    return new Jobs(caller);
  }

  /** Shows and drains runners. */
  public Runners runners() {
    return new Runners(caller);
  }

  /** Manages projects, which own pipelines. */
  public Projects projects() {
    return new Projects(caller);
  }

  /** Shows operators the background tasks of the service. */
  public Admin admin() {
    return new Admin(caller);
  }

  /** The calls of a runner. */
  public Leases leases() {
    return new Leases(caller.withoutLimit());
  }

  /** Watches a job from a snapshot of it until it is over. */
  public JobWatch watchJob(String jobId) {
    return watchJob(WatchJobRequest.newBuilder().setJobId(jobId).build());
  }

  /**
   * Watches a job until it is over: from a snapshot of it, or with the events after {@code
   * last_seen_sequence}. It reconnects after three {@code heartbeat_interval}s of silence, 15 s
   * each by default.
   */
  public JobWatch watchJob(WatchJobRequest request) {
    return watchJob(request, JobWatch.silence(request));
  }

  /** The same with another limit for silence. */
  JobWatch watchJob(WatchJobRequest request, Duration silence) {
    return new JobWatch(caller, request, silence);
  }

  /** Reads the present log of a stage's newest attempt, from its beginning. */
  public LogReader readLog(String jobId, String stageName) {
    return readLog(
        ReadStageLogRequest.newBuilder().setJobId(jobId).setStageName(stageName).build());
  }

  /** Reads the log of a stage, or the part of it that the request says. */
  public LogReader readLog(ReadStageLogRequest request) {
    return readLog(request, LogReader.SILENCE);
  }

  /** The same with another limit for silence. */
  LogReader readLog(ReadStageLogRequest request, Duration silence) {
    return new LogReader(caller, request, silence);
  }

  /**
   * The connection with the credentials, for generated stubs, such as those for asynchronous calls.
   * They have no time limits, retries and request ids; {@link PipewrightException#from} reads their
   * errors.
   */
  public Channel channel() {
    return connection.channel();
  }

  /**
   * Ends the connection. Open calls, watches and logs, and later ones, fail with {@code CANCELLED}
   * immediately.
   */
  @Override
  public void close() {
    connection.close();
  }

  /** The address; never the credentials. */
  @Override
  public String toString() {
    return "PipewrightClient[" + address + "]";
  }
}
