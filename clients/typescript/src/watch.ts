import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Client, Code } from "@connectrpc/connect";
import { type Job, Job_State } from "./gen/pipewright/v1/job_pb.js";
import {
  type JobEvent,
  type JobService,
  type JobSnapshot,
  JobSnapshotSchema,
  type WatchJobResponse,
} from "./gen/pipewright/v1/job_service_pb.js";
import { missing, type Source } from "./resume.js";

const HEARTBEAT_MS = 15_000;
const SHORTEST_HEARTBEAT_MS = 1_000;
const LONGEST_HEARTBEAT_MS = 60_000;

/** Options of a watch. */
export interface WatchJobOptions {
  /** Where to resume: the `sequence` of the last update; 0n for all events. */
  readonly lastSeenSequence?: bigint | undefined;
  /**
   * Silence after which the service sends a heartbeat, in milliseconds: 1,000 to 60,000, 15,000 by
   * default. After three silent intervals the watch reconnects.
   */
  readonly heartbeatIntervalMs?: number | undefined;
  /** Ends the watch. */
  readonly signal?: AbortSignal | undefined;
}

/** A change of a job: an event, or a snapshot that replaces the known state. */
export type JobUpdate = {
  /** The position after the update: another watch can resume from there. */
  readonly sequence: bigint;
  /** The final job, in the last update. */
  readonly ended?: Job;
} & (
  | { readonly event: JobEvent; readonly snapshot?: never }
  | { readonly event?: never; readonly snapshot: JobSnapshot }
);

/** A job's changes, in order, each once. */
export class Watch implements Source<WatchJobResponse, JobUpdate> {
  readonly silenceMs: number;
  readonly finalCodes: readonly Code[] = [];
  isOver = false;
  readonly #jobs: Client<typeof JobService>;
  readonly #jobId: string;
  readonly #heartbeatIntervalMs: number | undefined;
  #sequence: bigint | undefined;

  constructor(jobs: Client<typeof JobService>, jobId: string, options: WatchJobOptions) {
    const { heartbeatIntervalMs: intervalMs = HEARTBEAT_MS } = options;
    if (!(intervalMs > 0 && intervalMs <= Number.MAX_SAFE_INTEGER)) {
      throw new TypeError("heartbeatIntervalMs is a positive number");
    }
    this.#jobs = jobs;
    this.#jobId = jobId;
    this.#heartbeatIntervalMs = options.heartbeatIntervalMs;
    this.#sequence = options.lastSeenSequence;
    // The service refuses others; until it does, the nearest valid interval is used.
    this.silenceMs =
      3 * Math.min(Math.max(intervalMs, SHORTEST_HEARTBEAT_MS), LONGEST_HEARTBEAT_MS);
  }

  open(signal: AbortSignal): AsyncIterable<WatchJobResponse> {
    const interval = this.#heartbeatIntervalMs;
    const request = {
      jobId: this.#jobId,
      ...(this.#sequence !== undefined && { lastSeenSequence: this.#sequence }),
      ...(interval !== undefined && { heartbeatInterval: durationFromMs(Math.round(interval)) }),
    };
    return this.#jobs.watchJob(request, { signal });
  }

  *accept({ payload }: WatchJobResponse): Generator<JobUpdate> {
    switch (payload.case) {
      case "snapshot":
        yield* this.#replace(payload.value);
        break;
      case "events":
        for (const event of payload.value.events) {
          yield* this.#advance(event);
        }
        break;
      case "heartbeat":
        if (payload.value.lastSequence > this.#seen) {
          throw missing("events are missing before a heartbeat");
        }
        break;
      case undefined: // A payload that this client does not know.
        break;
    }
  }

  /** OK means that the end was sent. If it was not received, the job shows whether it has ended. */
  async finish(signal: AbortSignal): Promise<JobUpdate[]> {
    const { job } = await this.#jobs.getJob({ jobId: this.#jobId }, { signal });
    if (!job || !hasEnded(job)) {
      throw missing("the watch ended before the job");
    }
    return [...this.#replace(create(JobSnapshotSchema, { job }))];
  }

  get #seen(): bigint {
    return this.#sequence ?? 0n;
  }

  *#replace(snapshot: JobSnapshot): Generator<JobUpdate> {
    const { job } = snapshot;
    if (job) {
      this.#sequence = job.lastSequence;
      this.isOver = hasEnded(job);
      yield { sequence: job.lastSequence, snapshot, ...(this.isOver && { ended: job }) };
    }
  }

  *#advance(event: JobEvent): Generator<JobUpdate> {
    const { sequence, change } = event;
    if (sequence > this.#seen + 1n) {
      throw missing(`events are missing before number ${sequence}`);
    }
    if (sequence <= this.#seen) {
      return;
    }
    this.#sequence = sequence;
    const ended = change.case === "jobEnded" ? change.value.job : undefined;
    this.isOver = ended !== undefined;
    yield { sequence, event, ...(ended && { ended }) };
  }
}

function hasEnded({ state }: Job): boolean {
  return [Job_State.SUCCEEDED, Job_State.FAILED, Job_State.CANCELLED].includes(state);
}
