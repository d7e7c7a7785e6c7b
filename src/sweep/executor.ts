import { HalftoneError } from "../errors.ts";
import { createInlineExecutor } from "../tasks/executors/inline.ts";
import { createPool } from "../tasks/executors/pool.ts";
import type { Executor } from "../tasks/types.ts";
import { sweepKinds } from "./kinds.ts";

/** The built script of a worker that knows `sweepKinds`. */
const workerUrl = (): URL => new URL("../../workers/sweep.js", import.meta.url);

/** Threads of this process; 0: its own. @throws HalftoneError OPTION_INVALID */
export function localExecutor(workers: number): Executor {
  if (!Number.isInteger(workers) || workers < 0 || workers > 256)
    throw new HalftoneError("OPTION_INVALID", "--workers", String(workers), "an integer of 0…256");
  return workers === 0 ? createInlineExecutor(sweepKinds) : createPool(workers, workerUrl());
}
