// Tasks through BullMQ: a Redis holds the queue, workers on any number of machines take from it. What travels through the queue is names;
// models, samples and results stand in a store under theirs.
import type { Job, Queue, QueueEvents } from "bullmq";
import { type ErrorData, HalftoneError, throwIfAborted } from "../../errors.ts";
import { sha256 } from "../hash.ts";
import type { TaskCall } from "../kinds.ts";
import { pack, taskHash, unpack } from "../pack.ts";
import type { Store } from "../store.ts";
import type { Executor, Task } from "../types.ts";
import { runOrdered } from "./ordered.ts";
import { type Connection, jobOptions, queueName } from "./queue.connection.ts";

/** What a job says: the name of the packed call in the store. */
export interface JobData {
  readonly call: string;
}

/** What stands in the store under the name of a task that is done. */
export type StoredOutcome = { readonly value: unknown } | { readonly error: ErrorData };

/** Jobs in the queue at once: more than there will be threads. */
const lanes = 256;
/** Events may be lost with a connection: a job is looked after this often, in milliseconds. */
const lookAgain = 5_000;

export interface QueueOptions {
  readonly connection: Connection;
  /** Where blobs and results travel. */
  readonly store: Store;
  /** Names the program and its kernels: workers of others do not take these tasks. */
  readonly arithmetic: string;
}

export interface QueueExecutor extends Executor {
  /** Workers that listen now. */
  listening(): Promise<number>;
}

/**
 * Puts tasks into a queue and waits for their results. A task is a job of its own name, so that it is in the queue once, whoever asks for
 * it; putting it there again does no harm.
 *
 * @throws HalftoneError WORKER_FAILED from `run`, for tasks whose workers broke down twice
 */
export async function createQueueExecutor({ connection, store, arithmetic }: QueueOptions): Promise<QueueExecutor> {
  const { bullmq, client } = connection;
  const queue: Queue<JobData> = new bullmq.Queue(queueName(arithmetic), { connection: client });
  const events: QueueEvents = new bullmq.QueueEvents(queueName(arithmetic), { connection: client });
  // Connections report their troubles here and mend themselves.
  queue.on("error", () => {});
  events.on("error", () => {});
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  const waiting = new Map<string, Waiter>();
  events.on("active", ({ jobId }) => waiting.get(jobId)?.started());
  events.on("completed", ({ jobId }) => waiting.get(jobId)?.look());
  events.on("failed", ({ jobId, failedReason }) => waiting.get(jobId)?.look(failedReason));
  const uploads = new Map<string, Promise<void>>();
  const done = [0];

  /** Many tasks share a model: it goes up once at a time, and again if it has gone meanwhile. */
  const upload = (name: string, bytes: Uint8Array): Promise<void> => {
    const before = uploads.get(name);
    if (before) return before;
    const made = store.has(name).then((there) => (there ? undefined : store.put(name, bytes)));
    uploads.set(name, made);
    return made.finally(() => uploads.delete(name));
  };

  const enqueue = async (task: Task, id: string): Promise<Job> => {
    const { kind, options: taskOptions, payload, label, shared } = task;
    const call: TaskCall = { kind, options: taskOptions, payload, label, shared: shared.map(({ hash }) => hash) };
    const packed = pack(call);
    const name = await sha256(packed);
    for (const { hash, bytes } of shared) await upload(hash, bytes);
    await upload(name, packed);
    return queue.add(kind, { call: name }, { ...jobOptions, jobId: id });
  };

  const lane = async (task: Task, started: () => void, signal: AbortSignal | undefined): Promise<unknown> => {
    const id = await taskHash(task, arithmetic);
    for (;;) {
      throwIfAborted(signal, task.label);
      const found = await store.get(id);
      if (found) {
        done[0]!++;
        return resultOf(unpack(found) as StoredOutcome);
      }
      const news = wait(waiting, id, started);
      const job = await enqueue(task, id);
      const reason = await news;
      if (signal?.aborted) {
        // A job that runs already goes on, and its result is found next time.
        await job.remove().catch(() => {});
        throwIfAborted(signal, task.label);
      }
      if (reason !== undefined && !(await store.has(id)))
        throw new HalftoneError("WORKER_FAILED", task.label, `workers that broke down (${reason})`, "a result");
    }
  };

  let stopped: Promise<unknown> = Promise.resolve();
  return {
    workers: lanes,
    done,
    listening: async () => (await queue.getWorkers()).length,
    async run(tasks, consume, runOptions = {}) {
      const busy = new Set<Promise<unknown>>();
      const own = Array.from({ length: lanes }, () => (task: Task, started: () => void): Promise<unknown> => {
        const result = lane(task, started, runOptions.signal);
        busy.add(result);
        result.catch(() => {}).finally(() => busy.delete(result));
        return result;
      });
      const cancel = (): void => {
        for (const { look } of [...waiting.values()]) look();
      };
      runOptions.signal?.addEventListener("abort", cancel);
      await runOrdered(tasks, own, lanes, consume, runOptions).finally(() => {
        runOptions.signal?.removeEventListener("abort", cancel);
        stopped = Promise.allSettled(busy);
      });
    },
    async close() {
      await stopped;
      await events.close();
      await queue.close();
    },
  };
}

interface Waiter {
  started(): void;
  look(reason?: string): void;
}

/** Until something may have become of a job: a reason if it failed, undefined otherwise. */
function wait(waiting: Map<string, Waiter>, id: string, started: () => void): Promise<string | undefined> {
  return new Promise((resolve) => {
    const look = (reason?: string): void => {
      clearTimeout(timer);
      waiting.delete(id);
      resolve(reason);
    };
    const timer = setTimeout(look, lookAgain);
    waiting.set(id, { started, look });
  });
}

function resultOf(outcome: StoredOutcome): unknown {
  if ("error" in outcome) throw HalftoneError.fromData(outcome.error);
  return outcome.value;
}
