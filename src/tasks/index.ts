export { createContext, type TaskContext } from "./context.ts";
export { createExecutor, defaultWorkers, type ExecutorOptions } from "./executors/index.ts";
export { blobOf, sha256 } from "./hash.ts";
export type { TaskCall, TaskKind, TaskKinds } from "./kinds.ts";
export { createMeter } from "./progress.ts";
export type { Blob, Executor, Progress, RunOptions, Task, WorkOptions } from "./types.ts";
