import type { Endpoint } from "comlink";

type Threads = typeof import("node:worker_threads");

/** Node's threads, where Node is what runs: Deno and Bun are taken by their Web Workers. Invisible to bundlers. */
export function threads(): Threads | undefined {
  if ("Deno" in globalThis || "Bun" in globalThis) return undefined;
  return globalThis.process?.getBuiltinModule?.("node:worker_threads");
}

interface NodePort {
  postMessage(message: unknown, transfer?: readonly never[]): void;
  on(event: "message", listener: (data: unknown) => void): unknown;
  off(event: "message", listener: (data: unknown) => void): unknown;
}

/** A Node port or worker in the form that comlink knows. */
export function nodeEndpoint(port: NodePort): Endpoint {
  const listeners = new WeakMap<object, (data: unknown) => void>();
  return {
    postMessage: (message, transfer) => port.postMessage(message, transfer as never[] | undefined),
    addEventListener(_, listener) {
      const receive = (data: unknown): void => {
        if ("handleEvent" in listener) listener.handleEvent({ data } as MessageEvent);
        else listener({ data } as MessageEvent);
      };
      listeners.set(listener, receive);
      port.on("message", receive);
    },
    removeEventListener(_, listener) {
      const receive = listeners.get(listener);
      if (receive) port.off("message", receive);
      listeners.delete(listener);
    },
  };
}
