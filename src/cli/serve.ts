/** Resolves when the signal is aborted: what serves until Ctrl-C waits on it. */
export function untilStopped(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  // The listener alone does not keep Node running; the servers do.
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
