import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Server, Socket } from "node:net";
import type { TestContext } from "node:test";
import type { ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Address } from "../src/address.js";
import { type Client, createClient, type Platform } from "../src/client.js";
import { nodePlatform } from "../src/node/platform.js";
import { LeaseService } from "../src/runner/v1.js";
import {
  AdminService,
  JobService,
  PipelineService,
  ProjectService,
  RunnerService,
} from "../src/v1.js";
import { webPlatform } from "../src/web/platform.js";
import { TestClock } from "./clock.js";

/** The methods of a fake service; those that a test does not set are not implemented. */
export interface Methods {
  pipelines?: Partial<ServiceImpl<typeof PipelineService>>;
  jobs?: Partial<ServiceImpl<typeof JobService>>;
  runners?: Partial<ServiceImpl<typeof RunnerService>>;
  projects?: Partial<ServiceImpl<typeof ProjectService>>;
  admin?: Partial<ServiceImpl<typeof AdminService>>;
  leases?: Partial<ServiceImpl<typeof LeaseService>>;
}

/** A fake service, and a client of it with a fake clock. */
export interface World {
  readonly client: Client;
  readonly clock: TestClock;
  readonly address: string;
  /** Ends all connections with a reset, or gracefully. */
  cut(how: "reset" | "end"): void;
  /** Stops the service. */
  stop(): Promise<void>;
}

/** The protocol that a client of a platform speaks, and a server for it. */
export interface Kind {
  readonly name: string;
  createServer(handler: ReturnType<typeof connectNodeAdapter>): Server;
  platform(address: Address): Platform;
}

export const node: Kind = {
  name: "Node.js",
  createServer: (handler) => createHttp2Server(handler),
  // The pauses before it connects are not those of the calls.
  platform: (address) => nodePlatform(address, undefined, new TestClock()),
};

export const web: Kind = {
  name: "web",
  createServer: (handler) => createHttpServer(handler),
  platform: webPlatform,
};

/** Both platforms, for tests of both clients. */
export const kinds = [node, web];

/** Serves the methods on a port of loopback for as long as the test takes. */
export async function serve(t: TestContext, kind: Kind, methods: Methods): Promise<World> {
  const clock = new TestClock();
  const sockets = new Set<Socket>();
  const server = kind.createServer(
    connectNodeAdapter({
      routes: (router) => {
        router.service(PipelineService, methods.pipelines ?? {});
        router.service(JobService, methods.jobs ?? {});
        router.service(RunnerService, methods.runners ?? {});
        router.service(ProjectService, methods.projects ?? {});
        router.service(AdminService, methods.admin ?? {});
        router.service(LeaseService, methods.leases ?? {});
      },
    }),
  );
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => {}); // It was cut.
    sockets.add(socket);
  });
  const address = await listen(t, server);
  const place = new Address(address);
  const client = createClient(place, {}, kind.platform(place), clock);
  const cut = (how: "reset" | "end") => {
    for (const socket of sockets) {
      how === "reset" ? socket.resetAndDestroy() : socket.destroy();
    }
    sockets.clear();
  };
  t.after(() => {
    client.close();
    cut("end");
  });
  const stop = async () => {
    server.close();
    await once(server, "close");
  };
  return { client, clock, address, cut, stop };
}

/** Listens on a port of loopback for as long as the test takes. */
export async function listen(t: TestContext, server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** All items. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) {
    list.push(item);
  }
  return list;
}
