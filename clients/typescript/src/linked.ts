/**
 * A controller that aborts when one of the signals does, with its reason. To abort it when it is
 * no longer needed takes its listeners off the signals, which may live much longer.
 *
 * `AbortSignal.any()` would do, but leaks on the long-lived ones in Node.js 20.
 */
export function linked(...signals: (AbortSignal | undefined)[]): AbortController {
  const controller = new AbortController();
  for (const signal of signals) {
    const abort = () => controller.abort(signal?.reason);
    if (signal?.aborted) {
      abort();
    }
    signal?.addEventListener("abort", abort, { signal: controller.signal });
  }
  return controller;
}
