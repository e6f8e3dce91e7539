import {
  Code,
  ConnectError,
  createClient as createServiceClient,
  type Interceptor,
  type Client as ServiceClient,
  type Transport,
} from "@connectrpc/connect";
import type { Address } from "./address.js";
import { type Clock, systemClock } from "./clock.js";
import { type Credentials, withCredentials } from "./credentials.js";
import { LeaseService } from "./gen/pipewright/runner/v1/lease_service_pb.js";
import { AdminService } from "./gen/pipewright/v1/admin_service_pb.js";
import { JobService } from "./gen/pipewright/v1/job_service_pb.js";
import { PipelineService } from "./gen/pipewright/v1/pipeline_service_pb.js";
import { ProjectService } from "./gen/pipewright/v1/project_service_pb.js";
import { RunnerService } from "./gen/pipewright/v1/runner_service_pb.js";
import { ownErrors } from "./interceptors/own-errors.js";
import { requestId } from "./interceptors/request-id.js";
import { retry } from "./interceptors/retry.js";
import { Log, type LogPiece, type ReadLogOptions } from "./log.js";
import { resume, type Source } from "./resume.js";
import { guarded } from "./transport.js";
import { type JobUpdate, Watch, type WatchJobOptions } from "./watch.js";

/**
 * A client of a service: the clients of its API, and resuming streams.
 *
 * A call has a time limit of 30 s, which includes its retries, unless its options have a
 * `timeoutMs`; Infinity is no limit. Invalid arguments are a TypeError before anything is sent. The
 * streams of `jobs` are the plain ones of the service: without a time limit and without resuming.
 */
export interface Client {
  /** Manages pipelines and starts their jobs. */
  readonly pipelines: ServiceClient<typeof PipelineService>;
  /** Shows and controls jobs. */
  readonly jobs: ServiceClient<typeof JobService>;
  /** Shows and drains runners. */
  readonly runners: ServiceClient<typeof RunnerService>;
  /** Manages projects, which own pipelines. */
  readonly projects: ServiceClient<typeof ProjectService>;
  /** Shows operators the background tasks of the service. */
  readonly admin: ServiceClient<typeof AdminService>;
  /** Assigns stages to runners. Its calls have no time limit, retries or added `requestId`. */
  readonly leases: ServiceClient<typeof LeaseService>;

  /**
   * Watches a job until it is over, and reconnects as often as necessary. Without
   * `lastSeenSequence` the first update is a snapshot; with 0n it gets all events. Leaving the loop
   * ends the call.
   *
   * @throws PipewrightError if the service says NOT_FOUND, PERMISSION_DENIED, UNAUTHENTICATED,
   * INVALID_ARGUMENT or UNIMPLEMENTED, if the fifth try in a row fails before the service has
   * sent anything, or, with CANCELED, if the signal aborts or the client is closed.
   */
  watchJob(jobId: string, options?: WatchJobOptions): AsyncGenerator<JobUpdate, void, undefined>;

  /**
   * Reads the log of an attempt at a stage, and reconnects as often as necessary. Leaving the loop
   * ends the call.
   *
   * @throws PipewrightError as {@link watchJob}, and OUT_OF_RANGE if the offset is past the end.
   */
  readLog(
    jobId: string,
    stageName: string,
    options?: ReadLogOptions,
  ): AsyncGenerator<LogPiece, void, undefined>;

  /** Ends all calls, with CANCELED, and the connection. Later calls end in the same way. */
  close(): void;
}

/** The differences between Node.js and browsers. */
export interface Platform {
  createTransport(interceptors: Interceptor[]): Transport;
  /** The code for an error of the platform; undefined for one of Connect or the service. */
  codeOf(error: unknown): Code | undefined;
  /** Ends the connection, once its calls have ended. */
  close(): void;
}

/** The client on one of the platforms. */
export function createClient(
  address: Address,
  credentials: Credentials,
  platform: Platform,
  clock: Clock = systemClock,
): Client {
  const closing = new AbortController();
  const interceptors = [
    withCredentials(credentials, address),
    requestId,
    retry(clock),
    ownErrors(address.hostPort, (error) => platform.codeOf(error)),
  ];
  const transport = guarded(platform.createTransport(interceptors), closing.signal);
  const jobs = createServiceClient(JobService, transport);
  const resumed = <Message, Item>(source: Source<Message, Item>, signal: AbortSignal | undefined) =>
    resume(source, clock, signal, closing.signal);
  return {
    pipelines: createServiceClient(PipelineService, transport),
    jobs,
    runners: createServiceClient(RunnerService, transport),
    projects: createServiceClient(ProjectService, transport),
    admin: createServiceClient(AdminService, transport),
    leases: createServiceClient(LeaseService, transport),
    watchJob: (jobId, options = {}) => resumed(new Watch(jobs, jobId, options), options.signal),
    readLog: (jobId, stageName, options = {}) =>
      resumed(new Log(jobs, jobId, stageName, options), options.signal),
    close() {
      closing.abort(new ConnectError("the client is closed", Code.Canceled));
      platform.close();
    },
  };
}
