import { HalftoneError } from "../../errors.ts";
import { localExecutor } from "../../sweep/executor.ts";
import { createQueueWorker } from "../../tasks/executors/queue.worker.ts";
import { withoutPassword } from "../../tasks/executors/queue.connection.ts";
import { defaultWorkers } from "../../tasks/index.ts";
import { openQueue } from "../queue.ts";
import { arithmeticName } from "../store.ts";
import { duration, guarded, printJson, say } from "../terminal.ts";
import type { WorkerFlags } from "./worker.ts";

const defaultLock = 30;

export const run = (flags: WorkerFlags): Promise<void> =>
  guarded(flags, async (signal) => {
    const count = flags.workers ?? defaultWorkers();
    if (count < 1) throw new HalftoneError("OPTION_INVALID", "--workers", "0", "1 or more", "This thread tells the queue that it lives.");
    const executors = Array.from({ length: count }, () => localExecutor(1));
    const arithmetic = await arithmeticName();
    const { connection, store } = await openQueue(flags);
    const tell = (event: string, label: string, more: Record<string, unknown> = {}, text = ""): void =>
      flags.json ? printJson({ event, task: label, ...more }) : say(event, `${label}${text}`);
    try {
      const worker = await createQueueWorker({
        connection,
        store,
        arithmetic,
        executors,
        lock: (flags.lock ?? defaultLock) * 1000,
        onStart: (label) => tell("start", label),
        onEnd: (label, seconds, error) =>
          error
            ? tell("failed", label, { message: error.message }, `: ${error.message}`)
            : tell("done", label, { seconds }, ` · ${duration(seconds)}`),
      });
      tell("ready", `${withoutPassword(flags.queue)} · ${count} at a time · arithmetic ${arithmetic.slice(0, 16)}`);
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      tell("closing", "what runs is finished first");
      await worker.close();
    } finally {
      await Promise.all(executors.map((executor) => executor.close()));
      await connection.close();
    }
  });
