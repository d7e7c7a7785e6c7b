import { runOrdered } from "../tasks/executors/ordered.ts";
import type { TaskContext } from "../tasks/context.ts";
import { runTask } from "../tasks/kinds.ts";
import { taskKinds } from "../tasks/kinds/table.ts";
import type { Executor, Task } from "../tasks/types.ts";

/** Runs the small tasks of a large one where that runs, with what it keeps: an engine made for one run serves the next. */
export function nestedExecutor(context: TaskContext): Executor {
  const done = [0];
  const lane = async (task: Task): Promise<unknown> => {
    const shared = new Map(task.shared.map(({ hash, bytes }) => [hash, bytes]));
    const own: TaskContext = {
      shared,
      state: undefined,
      signal: context.signal,
      memo: (key, make) => context.memo(key, make),
      breathe: () => context.breathe(),
    };
    const result = await runTask(taskKinds, { ...task, state: undefined, shared: [...shared.keys()] }, own);
    done[0]!++;
    return result;
  };
  return {
    workers: 0,
    done,
    run: (tasks, consume, options) => runOrdered(tasks, [lane], 1, consume, options),
    async close() {},
  };
}
