// Plain data that workers keep while they do many tasks on it.
import type { Executor, State, Task } from "./tasks/types.ts";

/** Names must not repeat while a worker lives. */
let states = 0;

/** Whether there are workers in this process, which can keep states. */
export const keepsStates = (executor: Executor | undefined): executor is Executor => executor?.holdsStates === true && executor.workers > 0;

/** What an executor's workers keep, each once a task has brought it. */
export interface KeptState {
  task(payload: unknown): Task;
  /** One task without a state for each worker. */
  forget(): Promise<void>;
}

/** @param kind of the tasks on it */
export function keepState(executor: Executor, kind: string, data: unknown, label: string): KeptState {
  const state: State = { name: `${kind} ${states++}`, data };
  const task = (payload: unknown): Task => ({ kind, options: {}, shared: [], state, payload, label });
  return {
    task,
    forget() {
      const tasks = Array.from({ length: executor.workers }, (): Task => ({ ...task(undefined), state: undefined }));
      return executor.run(tasks, () => {});
    },
  };
}
