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
  const context = createContext(shared, { signal: () => signal, state: () => state });

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
