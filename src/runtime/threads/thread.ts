// The script of a session's workers: an instance of its own in the session's memory, then tasks until the session ends.
import type { Call } from "../step.ts";
import { type Control, serve, word } from "./control.ts";
import { nodeThreads } from "./spawn.ts";

export interface ThreadMessage {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: Control;
  /** Calls of each task: names of exports, with arguments. */
  readonly tasks: readonly (readonly (readonly [name: string, args: readonly number[]])[])[];
}

function start({ module, memory, control, tasks }: ThreadMessage, post: (message: string) => void): void {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const bound = tasks.map((calls) => calls.map(([name, args]): Call => ({ run: exports[name] as Call["run"], args })));
  post("ready");
  try {
    serve(control, bound);
  } catch (error) {
    Atomics.store(control, word.failed, 1);
    Atomics.notify(control, word.done);
    throw error;
  }
}

const port = nodeThreads()?.parentPort;
if (port) port.once("message", (message: ThreadMessage) => start(message, (answer) => port.postMessage(answer)));
else
  globalThis.addEventListener(
    "message",
    ({ data }: MessageEvent<ThreadMessage>) => {
      start(data, (answer) => globalThis.postMessage(answer));
    },
    { once: true },
  );
