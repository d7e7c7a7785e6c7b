import { executorOf } from "../tasks/executors/index.ts";
import type { Executor } from "../tasks/types.ts";
import { sweepKinds } from "./kinds.ts";

/** Threads of this process, with the built script of workers that know `sweepKinds`; 0: its own. @throws HalftoneError OPTION_INVALID */
export const localExecutor = (workers: number): Executor =>
  executorOf(sweepKinds, { workers, workerUrl: new URL("../../workers/sweep.js", import.meta.url) });
