import { once } from "node:events";
import type { Clock } from "../src/clock.js";

/** No pause between tries is longer; no silence shorter. */
const LONGEST_PAUSE_MS = 5_000;

/** A clock for which all pauses are over at once. */
export class TestClock implements Clock {
  /** The pauses between tries, in milliseconds. */
  readonly pauses: number[] = [];
  /** For how long each message was waited, in milliseconds. */
  readonly silences: number[] = [];
  /** What ends the waits for a message, the first of which is 1, that are in vain. */
  silent: Readonly<Record<number, Promise<void>>> = {};
  /** Called by a pause, which then lasts until it is aborted. */
  onPause: (() => void) | undefined;

  #now = 0;

  now(): number {
    return this.#now;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (ms <= LONGEST_PAUSE_MS) {
      this.pauses.push(ms);
      this.#now += ms;
      if (this.onPause) {
        const aborted = once(signal, "abort");
        this.onPause();
        await aborted;
        throw signal.reason;
      }
    } else {
      this.silences.push(ms);
      await (this.silent[this.silences.length] ?? new Promise<never>(() => {}));
    }
  }
}
