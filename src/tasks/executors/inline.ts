import { throwIfAborted } from "../../errors.ts";
import { createContext } from "../context.ts";
import { runTask, type TaskKinds } from "../kinds.ts";
import type { Executor, Task } from "../types.ts";
import { runOrdered } from "./ordered.ts";

/** Runs every task in the caller's own thread, one after the other. */
export function createInlineExecutor(kinds: TaskKinds): Executor {
  const done = [0];
  const shared = new Map<string, Uint8Array>();
  let signal: AbortSignal | undefined;
  let state: unknown;
  const context = createContext(shared, {
    signal: () => signal,
    state: () => state,
    async onBreath() {
      await nextTurn();
      throwIfAborted(signal, "task");
    },
  });

  const lane = async (task: Task): Promise<unknown> => {
    shared.clear();
    for (const { hash, bytes } of task.shared) shared.set(hash, bytes);
    state = task.state?.data;
    const result = await runTask(kinds, { ...task, shared: task.shared.map(({ hash }) => hash), state: task.state?.name }, context);
    done[0]!++;
    return result;
  };
  return {
    workers: 0,
    holdsStates: true,
    done,
    async run(tasks, consume, options = {}) {
      signal = options.signal;
      await runOrdered(tasks, [lane], 1, consume, options);
    },
    async close() {},
  };
}

interface Turns {
  readonly setImmediate?: (run: () => void) => void;
  readonly scheduler?: { postTask?(run: () => void): Promise<void> };
}

/** Lets whatever else waits in this thread have its turn. By setTimeout only where there is no better: it takes 1 ms in Node, 4 in a page. */
async function nextTurn(): Promise<void> {
  const { setImmediate, scheduler } = globalThis as Turns;
  if (setImmediate) await new Promise<void>((resolve) => setImmediate(resolve));
  else if (scheduler?.postTask) await scheduler.postTask(() => {});
  else await new Promise((resolve) => setTimeout(resolve));
}
