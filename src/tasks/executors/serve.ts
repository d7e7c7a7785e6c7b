import { type Endpoint, expose, transfer } from "comlink";
import { createContext } from "../context.ts";
import { runTask, type TaskCall, type TaskKinds } from "../kinds.ts";
import type { Blob, State } from "../types.ts";
import { nodeEndpoint, threads } from "./endpoint.ts";
import { installErrorTransfer } from "./errors.ts";
import { buffersOf } from "./transfer.ts";

/** What a worker offers to its pool. */
export interface WorkerApi {
  /**
   * @param blobs those of the task's shared inputs that this worker has not had with the task before
   * @param state that of the task, if this worker has not had it with the task before
   */
  run(task: TaskCall, blobs: readonly Blob[], state?: State): Promise<unknown>;
}

const signOfLife = "alive";
/** A worker's thread has nothing else to do than its task: a breath lets nobody through, and seldom says so. */
const signMilliseconds = 50;

/** Makes this thread a worker for the given kinds of task. */
export function serve(kinds: TaskKinds): void {
  installErrorTransfer();
  const port = threads()?.parentPort;
  const endpoint = port ? nodeEndpoint(port) : (globalThis as unknown as Endpoint);
  const shared = new Map<string, Uint8Array>();
  let held: State | undefined;
  let lastSign = performance.now();
  const context = createContext(shared, {
    onBreath() {
      if (performance.now() - lastSign < signMilliseconds) return;
      lastSign = performance.now();
      // Not a message of comlink, which passes over it: the pool's watch takes any.
      endpoint.postMessage(signOfLife);
    },
    state: () => held?.data,
  });
  const api: WorkerApi = {
    async run(task, blobs, state) {
      held = state ?? (task.state === held?.name ? held : undefined);
      // Only the current task's blobs are kept, and the pool counts on exactly that: memory stays bounded in a long life.
      for (const hash of [...shared.keys()]) if (!task.shared.includes(hash)) shared.delete(hash);
      for (const { hash, bytes } of blobs) shared.set(hash, bytes);
      const result = await runTask(kinds, task, context);
      return typeof result === "object" && result !== null ? transfer(result, buffersOf(result)) : result;
    },
  };
  expose(api, endpoint);
  endpoint.postMessage(signOfLife);
}
