import { HalftoneError } from "../errors.ts";
import { createInlineExecutor } from "./executors/inline.ts";
import { createPool } from "./executors/pool.ts";
import { taskKinds } from "./kinds/table.ts";
import type { Executor } from "./types.ts";

export interface ExecutorOptions {
  /** 0 runs in-line, in the caller's thread. */
  readonly workers: number;
  /** Script of the workers; absent: the built one of this package. */
  readonly workerUrl?: URL | string | undefined;
}

/** The more workers, the more memory; beyond this many they are worth it on request only. */
const mostByDefault = 8;

/** @throws HalftoneError OPTION_INVALID */
export async function createExecutor({ workers, workerUrl }: ExecutorOptions): Promise<Executor> {
  if (!Number.isInteger(workers) || workers < 0 || workers > 256)
    throw new HalftoneError("OPTION_INVALID", "--workers", String(workers), "an integer of 0…256");
  return workers === 0 ? createInlineExecutor(taskKinds) : createPool(workers, workerUrl);
}

/** As many workers as the machine runs at once, at most 8. */
export function defaultWorkers(): number {
  const os = globalThis.process?.getBuiltinModule?.("node:os");
  return Math.min(os?.availableParallelism() ?? globalThis.navigator?.hardwareConcurrency ?? 1, mostByDefault);
}
