// One worker in any runtime: Node's worker_threads, Web Workers in browsers, Deno and Bun.

type Threads = typeof import("node:worker_threads");

/** Node's threads, where Node is what runs. Invisible to bundlers. */
export function nodeThreads(): Threads | undefined {
  if ("Deno" in globalThis || "Bun" in globalThis) return undefined;
  return globalThis.process?.getBuiltinModule?.("node:worker_threads");
}

export interface Thread {
  /** Resolves with the worker's first message. */
  readonly answered: Promise<unknown>;
  post(message: unknown): void;
  terminate(): void;
}

/** @param onFailure called when the worker crashes or ends by itself */
export function spawn(onFailure: (cause: string) => void): Thread {
  const node = nodeThreads();
  return node ? spawnNode(node, "./thread.js", onFailure) : spawnWeb(onFailure);
}

/** @param script a parameter, so that bundlers for browsers, which follow literal addresses, leave this branch alone */
function spawnNode(node: Threads, script: string, onFailure: (cause: string) => void): Thread {
  const worker = new node.Worker(new URL(script, import.meta.url), { execArgv: [] });
  const answered = new Promise((resolve) => worker.once("message", resolve));
  let ending = false;
  worker.on("error", (error) => onFailure(String(error)));
  worker.on("exit", (code) => {
    if (!ending) onFailure(`it exited with code ${code}`);
  });
  return {
    answered,
    post(message) {
      worker.postMessage(message);
      // A session that nobody disposed of does not keep the process alive.
      void answered.then(() => worker.unref());
    },
    terminate() {
      ending = true;
      void worker.terminate();
    },
  };
}

function spawnWeb(onFailure: (cause: string) => void): Thread {
  // Bundlers find the script by this exact form.
  const worker = new Worker(new URL("./thread.js", import.meta.url), { type: "module" });
  const answered = new Promise((resolve) => worker.addEventListener("message", ({ data }) => resolve(data), { once: true }));
  worker.addEventListener("error", (event) => {
    // Without this, an uncaught error in a worker ends the parent in Deno.
    event.preventDefault();
    onFailure(event.message || "it could not be started");
  });
  worker.addEventListener("messageerror", () => onFailure("a message could not be read"));
  return { answered, post: (message) => worker.postMessage(message), terminate: () => worker.terminate() };
}
