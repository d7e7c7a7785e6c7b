import type { TaskKinds } from "../kinds.ts";

/** Every kind of task that a worker can do. */
export const taskKinds: TaskKinds = {};
