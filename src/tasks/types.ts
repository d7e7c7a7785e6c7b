/** Bytes in, bytes out: a pure piece of work that any worker can do, named by what determines its result. */
export interface Task {
  /** Row of the table of task kinds (tasks/kinds.ts). */
  readonly kind: string;
  /** Plain data (structured clone), small. */
  readonly options: unknown;
  /** Large inputs that many tasks share (a model, a plan): sent to a worker once, kept there by hash. */
  readonly shared: readonly Blob[];
  /** Plain data that many tasks share, for executors that hold states: sent to a worker once, kept until a task with another or none. */
  readonly state?: State | undefined;
  /** Inputs of this task alone. */
  readonly payload: unknown;
  /** Shown in progress and errors: "calibrate samples 32…63". */
  readonly label: string;
}

export interface Blob {
  /** sha-256, hexadecimal */
  readonly hash: string;
  readonly bytes: Uint8Array;
}

/** Plain data under a name that is never used twice. Memory that it shares with the caller (SharedArrayBuffer) is not copied. */
export interface State {
  readonly name: string;
  readonly data: unknown;
}

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after each task, in completion order: for progress only. */
  readonly onDone?: ((done: number) => void) | undefined;
  /** Called with each result in completion order, and how long its task ran: to keep what is done whatever becomes of the rest. */
  readonly onResult?: ((result: unknown, index: number, seconds: number) => void) | undefined;
  /** Tasks pulled and not yet consumed, at most: more than usual where they differ much in length and their results are small. */
  readonly ahead?: number | undefined;
  /**
   * Takes the failures of tasks, in task order among the results: the rest is done and kept. Absent, the first failure ends the run.
   * A worker that breaks down twice over one task makes it fail with WORKER_FAILED, whose `cause` is what the runtime said.
   */
  readonly onFailed?: ((error: unknown, index: number) => void) | undefined;
}

/** Runs tasks; results come in task order whatever the number of workers, each handed on as soon as its predecessors were. */
export interface Executor {
  readonly workers: number;
  /** `tasks` is pulled as workers become free, so memory is bounded by the number of workers, not of tasks. */
  run<T>(tasks: AsyncIterable<Task> | Iterable<Task>, consume: (result: T, index: number) => void, options?: RunOptions): Promise<void>;
  /** True where tasks may share states: the workers live in this process. */
  readonly holdsStates?: boolean | undefined;
  /** Tasks completed by each worker so far (one element, in-line: [n]). */
  readonly done: readonly number[];
  /** Stops the workers; work that is under way is cancelled. */
  close(): Promise<void>;
}

/** Progress of long work. `total` is unknown for streams without length. */
export interface Progress {
  readonly stage: string;
  readonly done: number;
  readonly total?: number | undefined;
  readonly secondsLeft?: number | undefined;
}

/** What every long work takes. */
export interface WorkOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after every piece of work. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly executor?: Executor | undefined;
  readonly seed?: number | undefined;
}
