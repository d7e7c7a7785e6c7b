import type { Endpoint } from "comlink";
import { HalftoneError } from "../../errors.ts";
import { nodeEndpoint, threads } from "./endpoint.ts";

/** A started worker of whatever runtime. */
export interface WorkerHandle {
  readonly endpoint: Endpoint;
  /** Rejects when the worker crashes or exits, never resolves. */
  readonly failed: Promise<never>;
  terminate(): Promise<void>;
}

/** @param url of the worker's script; absent: the one that is built beside this file */
export function spawnWorker(url: URL | string | undefined): WorkerHandle {
  const node = threads();
  let fail: (cause: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});

  if (node) {
    // The name is split so that bundlers for browsers leave this branch alone.
    const script = url === undefined ? new URL("../../../workers/worker" + ".js", import.meta.url) : new URL(url);
    // A worker inherits the parent's flags, and this one it would refuse. Given flags it refuses all of the process's, like those of V8.
    const refuses = process.execArgv.some((flag) => flag.startsWith("--input-type"));
    const worker = new node.Worker(script, refuses ? { execArgv: [] } : {});
    worker.on("error", (error: unknown) => fail(error instanceof Error ? error : new Error(String(error))));
    worker.on("exit", (code) => fail(new Error(`the worker exited with code ${code}`)));
    worker.on("messageerror", fail);
    return {
      endpoint: nodeEndpoint(worker),
      failed,
      async terminate() {
        await worker.terminate();
      },
    };
  }
  if (typeof Worker === "undefined")
    throw new HalftoneError("WORKER_FAILED", "workers", "a runtime without Web Workers", "workers", "Run in-line: --workers 0.");
  // Bundlers find the worker's script by this exact form.
  const worker =
    url === undefined
      ? new Worker(new URL("../../../workers/worker.js", import.meta.url), { type: "module" })
      : new Worker(url, { type: "module" });
  worker.addEventListener("error", (event) => {
    // Without this, an uncaught error in a worker ends the parent in Deno.
    event.preventDefault();
    fail(event.error instanceof Error ? event.error : new Error(event.message || "the worker could not be started"));
  });
  worker.addEventListener("messageerror", () => fail(new Error("a message that could not be read")));
  return {
    endpoint: worker,
    failed,
    async terminate() {
      worker.terminate();
    },
  };
}
