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
 * A client of a service: those of its API, and streams that resume by themselves.
 *
 * A call has a time limit of 30 s, which covers all its tries, unless its options have a
 * `timeoutMs`; Infinity is no limit. Wrong arguments are a TypeError, before anything is sent. The streams of `jobs` are as the service has them: without time limit and without
 * resuming.
 */
export interface Client {
  /** Keeps pipelines and starts jobs of them. */
  readonly pipelines: ServiceClient<typeof PipelineService>;
  /** Follows and steers jobs. */
  readonly jobs: ServiceClient<typeof JobService>;
  /** Shows the runners, and takes them out of service. */
  readonly runners: ServiceClient<typeof RunnerService>;
  /** Keeps projects, which own pipelines. */
  readonly projects: ServiceClient<typeof ProjectService>;
  /** Shows operators what the service does by itself. */
  readonly admin: ServiceClient<typeof AdminService>;
  /** Hands stages to runners. Its calls are neither limited, repeated nor given a `requestId`. */
  readonly leases: ServiceClient<typeof LeaseService>;

  /**
   * Watches a job until it is over, over as many connections as it takes. Without
   * `lastSeenSequence` the first update is a snapshot; with 0n come all events. Leaving the loop
   * ends the call.
   *
   * @throws PipewrightError if the service says NOT_FOUND, PERMISSION_DENIED, UNAUTHENTICATED,
   * INVALID_ARGUMENT or UNIMPLEMENTED, if the fifth try in a row fails before the service has
   * sent anything, or, with CANCELED, if the signal aborts or the client is closed.
   */
  watchJob(jobId: string, options?: WatchJobOptions): AsyncGenerator<JobUpdate, void, undefined>;

  /**
   * Reads the log of an attempt at a stage, over as many connections as it takes. Leaving the loop
   * ends the call.
   *
   * @throws PipewrightError as {@link watchJob}, and OUT_OF_RANGE if the offset is past the end.
   */
  readLog(
    jobId: string,
    stageName: string,
    options?: ReadLogOptions,
  ): AsyncGenerator<LogPiece, void, undefined>;

  /** Ends all calls, with CANCELED, and the connection. Calls made later end in the same way. */
  close(): void;
}

/** What differs between Node.js and browsers. */
export interface Platform {
  createTransport(interceptors: Interceptor[]): Transport;
  /** What an error of the platform, and not of Connect or the service, means. */
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
