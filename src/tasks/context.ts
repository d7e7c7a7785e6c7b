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
  const kept = new Map<string, Promise<unknown>>();
  let lastBreath = performance.now();
  return {
    shared,
    get state() {
      return options.state?.();
    },
    get signal() {
      return options.signal?.();
    },
    async memo<T>(key: string, make: () => Promise<T>): Promise<T> {
      const made = (kept.get(key) as Promise<T> | undefined) ?? make();
      // A Map keeps the order of insertion: the first key is the one that was not used for longest.
      kept.delete(key);
      kept.set(key, made);
      if (kept.size > memoEntries) kept.delete(kept.keys().next().value!);
      try {
        return await made;
      } catch (error) {
        kept.delete(key);
        throw error;
      }
    },
    async breathe() {
      if (performance.now() - lastBreath < breathMilliseconds) return;
      await options.onBreath?.();
      lastBreath = performance.now();
    },
  };
}
