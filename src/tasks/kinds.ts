import { assert } from "../errors.ts";
import type { TaskContext } from "./context.ts";
import type { Task } from "./types.ts";

/** What a worker receives of a task: `shared` by hash and `state` by name, their contents being in the context. */
export type TaskCall = Omit<Task, "shared" | "state"> & { readonly shared: readonly string[]; readonly state?: string | undefined };

/**
 * A row of the table of kinds. `run` is pure: its result depends on the task alone. Result and payload are plain data (structured
 * clone); the result's arrays are its own, since their memory is handed over to the caller.
 */
export interface TaskKind {
  run(task: TaskCall, context: TaskContext): Promise<unknown>;
}

export type TaskKinds = Readonly<Record<string, TaskKind>>;

export async function runTask(kinds: TaskKinds, task: TaskCall, context: TaskContext): Promise<unknown> {
  const kind = kinds[task.kind];
  assert(kind, `task kind '${task.kind}' is a row of the table`);
  return kind.run(task, context);
}
