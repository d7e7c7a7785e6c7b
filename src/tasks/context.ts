import { lastUsed } from "./last-used.ts";

/** What a task may lean on besides its own inputs. Nothing of it enters a result: it only saves work. */
export interface TaskContext {
  /** The task's shared inputs by hash. */
  readonly shared: ReadonlyMap<string, Uint8Array>;
  /** Data of the task's state. */
  readonly state: unknown;
  /** That of the caller, where the task runs in its thread. */
  readonly signal?: AbortSignal | undefined;
  /** Made once per worker and key, kept while it is among the few last used: a prepared engine, a session. */
  memo<T>(key: string, make: () => Promise<T>): Promise<T>;
  /**
   * Shows that the task lives, and lets cancellation through: call between samples. Costs next to nothing when called often.
   * @throws HalftoneError CANCELLED
   */
  breathe(): Promise<void>;
}

/** Prepared models take tens of megabytes each; a comparison needs two, one of them with an observer. */
const memoEntries = 2;
/** Long enough to cost nothing, short enough for a cancellation to be felt as immediate. */
const breathMilliseconds = 20;

export interface ContextOptions {
  readonly signal?: (() => AbortSignal | undefined) | undefined;
  /** What a breath does, at most every 20 ms. */
  readonly onBreath?: (() => Promise<void> | void) | undefined;
  readonly state?: (() => unknown) | undefined;
}

export function createContext(shared: ReadonlyMap<string, Uint8Array>, options: ContextOptions = {}): TaskContext {
  let lastBreath = performance.now();
  return {
    shared,
    get state() {
      return options.state?.();
    },
    get signal() {
      return options.signal?.();
    },
    memo: lastUsed(memoEntries),
    async breathe() {
      if (performance.now() - lastBreath < breathMilliseconds) return;
      await options.onBreath?.();
      lastBreath = performance.now();
    },
  };
}
