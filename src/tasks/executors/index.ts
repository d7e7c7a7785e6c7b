import { HalftoneError } from "../../errors.ts";
import { createInlineExecutor } from "./inline.ts";
import { createPool } from "./pool.ts";
import type { TaskKinds } from "../kinds.ts";
import { taskKinds } from "../kinds/table.ts";
import type { Executor } from "../types.ts";

/** How an executor is made. */
export interface ExecutorOptions {
  /** 0 runs in-line, in the caller's thread. */
  readonly workers: number;
  /** Script of the workers; absent: the built one of this package. */
  readonly workerUrl?: URL | string | undefined;
  /** Milliseconds of silence in the middle of a task after which a worker is taken for hung, and replaced; by default five minutes. */
  readonly patience?: number | undefined;
}

/** @throws HalftoneError OPTION_INVALID */
export async function createExecutor(options: ExecutorOptions): Promise<Executor> {
  return executorOf(taskKinds, options);
}

/**
 * @param kinds what the script of the workers serves
 * @throws HalftoneError OPTION_INVALID
 */
export function executorOf(kinds: TaskKinds, { workers, workerUrl, patience }: ExecutorOptions): Executor {
  if (!Number.isInteger(workers) || workers < 0 || workers > 256)
    throw new HalftoneError("OPTION_INVALID", "--workers", String(workers), "an integer of 0…256");
  return workers === 0 ? createInlineExecutor(kinds) : createPool(workers, workerUrl, patience);
}

export { defaultWorkers } from "./pool.ts";
