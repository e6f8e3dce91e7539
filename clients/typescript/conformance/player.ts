import { type DescMethodUnary, fromJson, type JsonObject, toJson } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import * as v1 from "../src/v1.js";
import { type Client, PipewrightError } from "../src/web.js";

/** A command for a player: one of these, in a JSON object with one key. */
interface Said {
  connect?: ConnectSaid;
  close?: JsonObject;
  call?: string;
  request?: JsonObject;
  timeout_ms?: number;
  watch?: { job_id: string; last_seen_sequence?: number };
  read_log?: ReadLogSaid;
  to?: string;
}

/** The address and the credentials. */
export interface ConnectSaid {
  address: string;
  token?: string;
  username?: string;
  password?: string;
  ca_certificate?: string;
}

interface ReadLogSaid {
  job_id: string;
  stage_name: string;
  attempt?: number;
  offset?: number;
  limit_bytes?: number;
  follow?: boolean;
}

/** The differences between Node.js and a browser. */
export interface Stage {
  connect(said: ConnectSaid): Promise<Client>;
  /** Writes a line. */
  say(answer: JsonObject): Promise<void>;
  /** Creates an empty file. */
  create(path: string): Promise<void>;
  append(path: string, bytes: Uint8Array): Promise<void>;
}

/** What this player cannot do. */
export class Unsupported extends Error {}

/** Executes commands with a client; clients/conformance/README.md has the protocol. */
export class Player {
  readonly #stage: Stage;
  #client: Client | undefined;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** Executes a line, and writes the result. */
  async play(line: string): Promise<void> {
    try {
      await this.#stage.say(await this.#perform(JSON.parse(line) as Said));
    } catch (error) {
      await this.#stage.say(
        error instanceof Unsupported ? { unsupported: error.message } : { error: described(error) },
      );
    }
  }

  async #perform(said: Said): Promise<JsonObject> {
    if (said.connect) {
      this.#client?.close();
      this.#client = await this.#stage.connect(said.connect);
      return { connected: {} };
    }
    const client = this.#client;
    if (client && said.close) {
      client.close();
      return { closed: {} };
    }
    if (client && said.call) {
      return { response: await call(client, said.call, said.request ?? {}, said.timeout_ms) };
    }
    if (client && said.watch) {
      return { ended: await this.#watch(client, said.watch) };
    }
    if (client && said.read_log && said.to) {
      await this.#readLog(client, said.read_log, said.to);
      return { log_end: {} };
    }
    throw new Unsupported(`there is no such thing as ${JSON.stringify(said)}`);
  }

  async #watch(client: Client, said: NonNullable<Said["watch"]>): Promise<JsonObject> {
    const lastSeenSequence = big(said.last_seen_sequence);
    for await (const update of client.watchJob(said.job_id, { lastSeenSequence })) {
      await this.#stage.say(
        update.event
          ? { event: toJson(v1.JobEventSchema, update.event) }
          : { snapshot: toJson(v1.JobSnapshotSchema, update.snapshot) },
      );
      if (update.ended) {
        return toJson(v1.JobSchema, update.ended) as JsonObject;
      }
    }
    throw new Error("the watch ended before the job");
  }

  async #readLog(client: Client, said: ReadLogSaid, path: string): Promise<void> {
    await this.#stage.create(path);
    const pieces = client.readLog(said.job_id, said.stage_name, {
      attempt: said.attempt,
      offset: big(said.offset),
      limitBytes: big(said.limit_bytes),
      follow: said.follow,
    });
    for await (const { offset, bytes, gap } of pieces) {
      if (gap) {
        const [start_offset, end_offset] = [Number(gap.startOffset), Number(gap.endOffset)];
        await this.#stage.say({ gap: { start_offset, end_offset } });
      } else {
        await this.#stage.append(path, bytes);
        await this.#stage.say({ chunk: { offset: Number(offset), size: bytes.length } });
      }
    }
  }
}

function big(value: number | undefined): bigint | undefined {
  return value === undefined ? undefined : BigInt(value);
}

async function call(
  client: Client,
  name: string,
  request: JsonObject,
  timeoutMs: number | undefined,
): Promise<JsonObject> {
  const { method, send } = methodOf(client, name);
  const response = await send(fromJson(method.input, request), { timeoutMs });
  return toJson(method.output, response) as JsonObject;
}

function methodOf(client: Client, name: string) {
  const services = [
    [v1.PipelineService, client.pipelines],
    [v1.JobService, client.jobs],
    [v1.RunnerService, client.runners],
    [v1.ProjectService, client.projects],
    [v1.AdminService, client.admin],
  ] as const;
  for (const [service, methods] of services) {
    const method = service.methods.find((method) => method.name === name);
    if (method?.methodKind === "unary") {
      const send = (methods as unknown as Record<string, Send>)[method.localName];
      return { method: method as DescMethodUnary, send: send as Send };
    }
  }
  throw new Unsupported(`there is no call ${name}`);
}

type Send = (message: unknown, options: { timeoutMs: number | undefined }) => Promise<never>;

function described(error: unknown): JsonObject {
  // A client refuses invalid arguments with a TypeError before it sends anything.
  const { code, reason, rawMessage, info, fieldViolations } = PipewrightError.from(
    error,
    Code.InvalidArgument,
  );
  return {
    code: code === Code.Canceled ? "CANCELLED" : screaming(Code[code] ?? ""),
    reason,
    message: rawMessage,
    metadata: { ...info },
    fieldViolations: fieldViolations.map((violation) => ({ ...violation })),
  };
}

function screaming(name: string): string {
  return name.replace(/\B[A-Z]/g, "_$&").toUpperCase();
}
