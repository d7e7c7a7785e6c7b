import type { Job, Worker } from "bullmq";
import { HalftoneError, passing } from "../../errors.ts";
import { sha256 } from "../hash.ts";
import type { TaskCall } from "../kinds.ts";
import { lastUsed } from "../last-used.ts";
import { pack, taskHash, unpack } from "../pack.ts";
import type { Store } from "../store.ts";
import type { Blob, Executor, Task } from "../types.ts";
import type { JobData, StoredOutcome } from "./queue.ts";
import { type Connection, queueName } from "./queue.connection.ts";

export interface QueueWorkerOptions {
  readonly connection: Connection;
  readonly store: Store;
  readonly arithmetic: string;
  /** One for each task at a time, with a thread of its own: this one must stay free to tell that it lives. */
  readonly executors: readonly Executor[];
  /** Milliseconds of silence after which a task is given to another worker. */
  readonly lock: number;
  readonly onStart?: ((label: string) => void) | undefined;
  readonly onEnd?: ((label: string, seconds: number, error?: Error) => void) | undefined;
}

/** How often a task may lose its worker before it is given up. */
const mostLosses = 2;
/** Blobs kept from the last tasks, so that neighbours do not fetch them again. Memory: as many of the largest. */
const keptBlobs = 8;

export interface QueueWorker {
  /** Finishes what runs and takes no more. */
  close(): Promise<void>;
}

/** Takes tasks from a queue, does them, and puts their results where the sweep finds them. */
export async function createQueueWorker(options: QueueWorkerOptions): Promise<QueueWorker> {
  const { connection, store, arithmetic, executors, lock, onStart, onEnd } = options;
  const free = [...executors];
  const kept = lastUsed(keptBlobs);
  const blobNamed = (name: string): Promise<Blob> => kept(name, () => fetchBlob(store, name));

  const work = async ({ data }: Job<JobData>): Promise<void> => {
    const call = unpack((await fetchBlob(store, data.call)).bytes) as TaskCall;
    const task: Task = { ...call, state: undefined, shared: await Promise.all(call.shared.map(blobNamed)) };
    onStart?.(task.label);
    const started = performance.now();
    const executor = free.pop()!;
    try {
      const outcome = await outcomeOf(executor, task);
      await store.put(await taskHash(task, arithmetic), pack(outcome));
      onEnd?.(task.label, (performance.now() - started) / 1000);
    } catch (error) {
      onEnd?.(task.label, (performance.now() - started) / 1000, error as Error);
      throw error;
    } finally {
      free.push(executor);
    }
  };

  const worker: Worker<JobData> = new connection.bullmq.Worker(queueName(arithmetic), work, {
    connection: connection.client,
    concurrency: executors.length,
    lockDuration: lock,
    stalledInterval: lock,
    maxStalledCount: mostLosses,
    // Seconds that a blocking wait for jobs lasts: also the longest that closing takes.
    drainDelay: 2,
  });
  worker.on("error", () => {});
  await worker.waitUntilReady();
  return { close: () => worker.close() };
}

/** A mistake in the user's input is a result: whoever asks again would get it again. A worker that breaks down is none. */
async function outcomeOf(executor: Executor, task: Task): Promise<StoredOutcome> {
  let value: unknown;
  try {
    await executor.run([task], (result) => {
      value = result;
    });
    return { value };
  } catch (error) {
    if (!(error instanceof HalftoneError) || passing.has(error.code)) throw error;
    return { error: error.toData() };
  }
}

async function fetchBlob(store: Store, name: string): Promise<Blob> {
  const bytes = await store.get(name);
  if (!bytes) throw new Error(`'${name}' is not in the store: do sweep and worker share one?`);
  if ((await sha256(bytes)) !== name) throw new Error(`'${name}' was damaged in the store`);
  return { hash: name, bytes };
}
