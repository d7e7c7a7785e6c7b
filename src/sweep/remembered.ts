// Tasks whose results are kept: what is there already is not done again.
import { HalftoneError } from "../errors.ts";
import { pack, taskHash, unpack } from "../tasks/pack.ts";
import type { Store } from "../tasks/store.ts";
import type { Executor, Task } from "../tasks/types.ts";
import type { Failed } from "./types.ts";

export interface Memory {
  readonly executor: Executor;
  readonly store: Pick<Store, "get">;
  /** Keeps a result as soon as it is there. */
  keep(name: string, result: Uint8Array, seconds: number): Promise<void>;
  /** Names the program and its kernels. */
  readonly arithmetic: string;
  readonly signal?: AbortSignal | undefined;
}

export interface Remembered<T> {
  /** The task's hash. */
  readonly name: string;
  readonly value: T | Failed;
}

/**
 * Results in the order of tasks. A task that fails is told in its place, and the others go on.
 *
 * @param onDone called with the number of tasks done and to be done by this call: those that were not kept
 * @throws HalftoneError CANCELLED, and whatever else than a HalftoneError a task throws
 */
export async function remembered<T>(
  tasks: readonly Task[],
  memory: Memory,
  onDone: (done: number, total: number) => void = () => {},
): Promise<Remembered<T>[]> {
  const { executor, store, keep, arithmetic, signal } = memory;
  const names = await Promise.all(tasks.map((task) => taskHash(task, arithmetic)));
  const values = new Map<number, unknown>();
  for (const [i, name] of names.entries()) {
    const bytes = await store.get(name);
    if (bytes) values.set(i, unpack(bytes));
  }
  const left = tasks.flatMap((_, i) => (values.has(i) ? [] : [i]));
  const writes: Promise<void>[] = [];
  let unwritten: unknown;
  onDone(0, left.length);
  const run = executor.run(
    left.map((i) => tasks[i]!),
    () => {},
    {
      signal,
      ahead: left.length,
      onDone: (done) => onDone(done, left.length),
      onResult(value, k, seconds) {
        const i = left[k]!;
        values.set(i, value);
        const write = keep(names[i]!, pack(value), seconds).catch((error) => {
          unwritten ??= error;
        });
        writes.push(write);
      },
      onFailed(error, k) {
        if (!(error instanceof HalftoneError)) throw error;
        values.set(left[k]!, { error: error.toData() });
      },
    },
  );
  await run.finally(() => Promise.all(writes));
  if (unwritten) throw unwritten;
  return names.map((name, i) => ({ name, value: values.get(i) as Remembered<T>["value"] }));
}
