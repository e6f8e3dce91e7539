/** The followers of each signal: one listener for all, as Node.js warns of more than ten. */
const followers = new WeakMap<AbortSignal, Set<AbortController>>();

/**
 * A controller that aborts when one of the signals does, with its reason. Abort it when it is no
 * longer needed: that removes it from the signals, which may live much longer.
 *
 * `AbortSignal.any()` does the same, but leaks on long-lived signals in Node.js 20.
 */
export function linked(...signals: (AbortSignal | undefined)[]): AbortController {
  const controller = new AbortController();
  for (const signal of signals) {
    if (signal?.aborted) {
      controller.abort(signal.reason);
    } else if (signal && !controller.signal.aborted) {
      follow(signal, controller);
    }
  }
  return controller;
}

function follow(signal: AbortSignal, controller: AbortController): void {
  const set = followers.get(signal) ?? listening(signal);
  set.add(controller);
  controller.signal.addEventListener("abort", () => set.delete(controller), { once: true });
}

function listening(signal: AbortSignal): Set<AbortController> {
  const set = new Set<AbortController>();
  followers.set(signal, set);
  const abort = () => {
    for (const controller of set) {
      controller.abort(signal.reason);
    }
  };
  signal.addEventListener("abort", abort, { once: true });
  return set;
}
