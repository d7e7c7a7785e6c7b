import { HalftoneError } from "../../errors.ts";
import type { Plan } from "../../plan/types.ts";
import type { IntegerKernels } from "../kernels.ts";
import type { Placed, Runner } from "../place.ts";
import { type Call, callsOf } from "../step.ts";
import { createControl, mayWait, publish, settled, word, work } from "./control.ts";
import { spawn } from "./spawn.ts";
import { tasksOf, worthSplitting } from "./tasks.ts";
import type { ThreadMessage } from "./thread.ts";

/** A task takes some milliseconds: a thread that shows nothing for so long has been ended from outside. */
const patience = 10_000;

function failure(found: string): HalftoneError {
  return new HalftoneError(
    "WORKER_FAILED",
    "session",
    found,
    "threads that run",
    "Create another session, with threads: 1 if this happens again.",
  );
}

/** Whether threads can share memory here: pages need cross-origin isolation for that, everything else just does. */
export function canShare(): boolean {
  if (typeof SharedArrayBuffer === "undefined" || globalThis.crossOriginIsolated === false) return false;
  return typeof Worker !== "undefined" || globalThis.process?.getBuiltinModule !== undefined;
}

/** Tasks of each step that is worth splitting, as a thread calls them; none of the others. */
function bind(placed: Placed, plan: Plan, threads: number, thread: number): Call[][][] {
  return placed.steps.map((step, i) => {
    const tasks = worthSplitting(plan.steps[i]!, plan) ? tasksOf(step.parts(placed.at(i, thread)), threads) : [];
    return tasks.length > 1 ? tasks : [];
  });
}

/**
 * Workers in the memory of the session. The caller's thread takes part, so one worker less than threads is started.
 *
 * @throws HalftoneError WORKER_FAILED where workers cannot be started
 */
export async function startPool(
  placed: Placed,
  plan: Plan,
  kernels: IntegerKernels,
  module: WebAssembly.Module,
  threads: number,
): Promise<Runner> {
  const control = createControl();
  const waits = mayWait(control);
  const split = bind(placed, plan, threads, 0);
  const tasks = split.flat();
  let count = 0;
  const steps = split.map((own, i) => {
    const first = count;
    count += own.length;
    return { first, count: own.length, alone: own.length === 0 ? callsOf(placed.steps[i]!.parts(placed.at(i, 0))) : [] };
  });
  let broken: string | undefined;
  let fail = (_: HalftoneError): void => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  const workers = Array.from({ length: threads - 1 }, () =>
    spawn((cause) => {
      broken ??= `a worker that ended: ${cause}`;
      fail(failure(broken));
    }),
  );
  const close = (): void => {
    Atomics.store(control, word.closing, 1);
    Atomics.add(control, word.epoch, 1);
    Atomics.notify(control, word.epoch);
    for (const worker of workers) worker.terminate();
  };
  const names = new Map(Object.entries(kernels).map(([name, run]) => [run as unknown, name]));
  try {
    for (const [i, worker] of workers.entries()) {
      const own = bind(placed, plan, threads, i + 1)
        .flat()
        .map((calls) => calls.map(({ run, args }) => [names.get(run)!, args] as const));
      worker.post({ module, memory: placed.memory, control, tasks: own } satisfies ThreadMessage);
    }
    await Promise.race([failed, Promise.all(workers.map(({ answered }) => answered))]);
  } catch (error) {
    close();
    throw error instanceof HalftoneError ? error : failure(`a worker that cannot be started (${error})`);
  }
  return {
    threads,
    run(index) {
      const { first, count, alone } = steps[index]!;
      for (const { run, args } of alone) run(...args);
      if (count === 0) return;
      if (broken !== undefined) throw failure(broken);
      publish(control, first, count);
      work(control, tasks);
      if (settled(control, waits, patience)) return;
      broken = "a worker that stopped in the middle of a run";
      close();
      throw failure(broken);
    },
    close,
  };
}
