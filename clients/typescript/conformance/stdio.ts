import { once } from "node:events";
import { createInterface } from "node:readline";
import type { JsonObject } from "@bufbuild/protobuf";

/** Writes a line to standard output. */
export async function say(answer: JsonObject): Promise<void> {
  if (!process.stdout.write(`${JSON.stringify(answer)}\n`)) {
    await once(process.stdout, "drain");
  }
}

/** Reads the lines of standard input, one after the other, until it ends. */
export async function listen(play: (line: string) => Promise<void>): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    await play(line);
  }
}
