import type { Endpoint } from "comlink";

/** Looks without a sign of life after which a worker counts as hung. */
const looks = 4;
/** A worker that has not spoken yet may still be loading its scripts from far away. */
const leastToStart = 60_000;

export interface Watch {
  /** Rejects when the worker has been silent for too long; never resolves. Counts only between `begin` and `end`. */
  readonly hung: Promise<never>;
  begin(): void;
  end(): void;
}

/**
 * Watches a worker while it works: whatever it sends, an answer or a mere sign of life, shows that it lives. Silence is counted in looks,
 * not read from a clock, so that a machine which slept wakes up with its workers.
 *
 * @param patience milliseconds of silence
 */
export function watch(endpoint: Endpoint, patience: number): Watch {
  let silent = 0;
  let spoken = false;
  let timer: ReturnType<typeof setInterval> | undefined;
  let fail: (cause: Error) => void = () => {};
  const hung = new Promise<never>((_, reject) => {
    fail = reject;
  });
  hung.catch(() => {});
  endpoint.addEventListener("message", (() => {
    silent = 0;
    spoken = true;
  }) as EventListener);
  return {
    hung,
    begin() {
      silent = 0;
      const interval = patience / looks;
      timer = setInterval(() => {
        const allowed = spoken ? patience : Math.max(patience, leastToStart);
        if (++silent * interval >= allowed) fail(new Error(`no sign of life for ${allowed / 1000} s`));
      }, interval);
    },
    end() {
      clearInterval(timer);
    },
  };
}
