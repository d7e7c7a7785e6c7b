import { buildCommand, type Command, type CommandContext } from "@stricli/core";
import { optional, workersFlag } from "../data-flags.ts";
import { type QueueFlags, queueFlags } from "../queue-flags.ts";
import { type CommonFlags, jsonFlag } from "../terminal.ts";

export interface WorkerFlags extends QueueFlags, CommonFlags {
  readonly queue: string;
  readonly workers?: number | undefined;
  readonly lock?: number | undefined;
}

function parseSeconds(text: string): number {
  const value = Number(text);
  if (!(value >= 1 && value <= 3600)) throw new Error(`found '${text}', expected 1 … 3600 seconds`);
  return value;
}

export const workerCommand: Command<CommandContext> = buildCommand<WorkerFlags>({
  loader: async () => (await import("./worker.run.ts")).run,
  parameters: {
    flags: {
      ...queueFlags,
      queue: { kind: "parsed", parse: String, placeholder: "redis://HOST:PORT", brief: queueFlags.queue.brief },
      workers: { ...workersFlag, brief: "Tasks at a time, each in a thread of its own" },
      lock: optional(parseSeconds, "SECONDS", "A worker that was silent for so long has lost its task to another (30)"),
      json: { ...jsonFlag, brief: "Print one JSON object a task instead of text" },
    },
  },
  docs: {
    brief: "Do the tasks of sweeps that others started",
    fullDescription: [
      "Takes tasks from a queue in Redis until it is stopped: on as many machines as wanted, which need neither models nor data, only this",
      "version of halftone. Ctrl-C finishes what runs; a worker that is killed loses its tasks to the others.",
      "",
      "Examples:",
      "  halftone worker --queue redis://10.0.0.7:6379",
      "  halftone worker --queue rediss://user:password@queue.example.org --workers 8 --blobs /mnt/blobs",
    ].join("\n"),
  },
});
