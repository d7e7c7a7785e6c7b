import { type Remote, wrap } from "comlink";
import { HalftoneError } from "../../errors.ts";
import type { Executor, Task } from "../types.ts";
import { installErrorTransfer } from "./errors.ts";
import { type Lane, runOrdered } from "./ordered.ts";
import type { WorkerApi } from "./serve.ts";
import { spawnWorker, type WorkerHandle } from "./spawn.ts";
import { type Watch, watch } from "./watch.ts";

/** The more workers, the more memory; beyond this many they are worth it on request only. */
const mostByDefault = 8;
/** Tasks breathe every few samples, and the largest layer's factorization is done in less on any machine. */
const defaultPatience = 300_000;

/** As many workers as the machine runs at once, at most 8. */
export function defaultWorkers(): number {
  const os = globalThis.process?.getBuiltinModule?.("node:os");
  return Math.min(os?.availableParallelism() ?? globalThis.navigator?.hardwareConcurrency ?? 1, mostByDefault);
}

interface LiveWorker {
  readonly handle: WorkerHandle;
  readonly remote: Remote<WorkerApi>;
  readonly watch: Watch;
  /** Hashes of the blobs it holds. */
  held: ReadonlySet<string>;
  /** Name of the state it holds. */
  state: string | undefined;
  crash: Error | undefined;
  /** Called when it crashes. One listener at a time: reactions to a promise that lives as long as the worker would pile up. */
  onCrash: () => void;
}

/** One worker and its successors: a crashed or hung one is replaced when the next task comes. */
interface Seat {
  readonly run: Lane;
  close(): Promise<void>;
}

/**
 * Runs tasks on `count` workers, which are started when first needed and kept until `close`.
 *
 * @param patience milliseconds of silence in the middle of a task after which a worker is taken for hung, and replaced
 */
export function createPool(count: number, url?: URL | string, patience: number = defaultPatience): Executor {
  installErrorTransfer();
  const done: number[] = new Array(count).fill(0);
  const seats = Array.from({ length: count }, (_, index) => createSeat(url, patience, () => done[index]!++));
  return {
    workers: count,
    holdsStates: true,
    done,
    run: (tasks, consume, options) =>
      runOrdered(
        tasks,
        seats.map(({ run }) => run),
        2 * count,
        consume,
        options,
      ),
    async close() {
      await Promise.all(seats.map((seat) => seat.close()));
    },
  };
}

function createSeat(url: URL | string | undefined, patience: number, onDone: () => void): Seat {
  let worker: LiveWorker | undefined;
  let closed = false;
  /** The last task given to this seat, also one that a cancelled run no longer waits for. */
  let last: Promise<unknown> = Promise.resolve();

  const start = (): LiveWorker => {
    const handle = spawnWorker(url);
    const remote = wrap<WorkerApi>(handle.endpoint);
    const watching = watch(handle.endpoint, patience);
    const live: LiveWorker = { handle, remote, watch: watching, held: new Set(), state: undefined, crash: undefined, onCrash() {} };
    Promise.race([handle.failed, watching.hung]).catch((cause: Error) => {
      live.crash = cause;
      live.onCrash();
    });
    return live;
  };

  const attempt = async (task: Task): Promise<{ value: unknown } | { crash: Error }> => {
    const live = (worker ??= start());
    const broken = new Promise<void>((resolve) => {
      live.onCrash = resolve;
      if (live.crash) resolve();
    });
    const hashes = task.shared.map(({ hash }) => hash);
    const missing = task.shared.filter(({ hash }) => !live.held.has(hash));
    live.held = new Set(hashes);
    const state = task.state?.name === live.state ? undefined : task.state;
    live.state = task.state?.name;
    // The payload is copied, not handed over: a second attempt needs it whole.
    const { kind, options, payload, label } = task;
    const call = live.remote.run({ kind, options, payload, label, shared: hashes, state: live.state }, missing, state);
    live.watch.begin();
    const value = await Promise.race([call, broken]).finally(() => live.watch.end());
    const { crash } = live;
    if (crash === undefined) return { value };
    // Its answer will never come.
    call.catch(() => {});
    if (worker === live) worker = undefined;
    await live.handle.terminate();
    return { crash };
  };

  const runTwice = async (task: Task): Promise<unknown> => {
    let cause: Error | undefined;
    for (let tries = 0; tries < 2 && !closed; tries++) {
      const outcome = await attempt(task);
      if ("value" in outcome) {
        onDone();
        return outcome.value;
      }
      cause = outcome.crash;
    }
    if (closed) throw new HalftoneError("CANCELLED", task.label, "a closed pool of workers", "a running one");
    const failure = new HalftoneError("WORKER_FAILED", task.label, `a worker that broke down twice (${cause!.message})`, "a result");
    failure.cause = cause;
    throw failure;
  };

  return {
    run(task) {
      const result = last.then(() => runTwice(task));
      last = result.catch(() => {});
      return result;
    },
    async close() {
      closed = true;
      await worker?.handle.terminate();
      worker = undefined;
    },
  };
}
