// Workers that cannot be started, crash and hang: the pool tells of each in the same way, and goes on.
import { createExecutor, HalftoneError } from "halftone";

const scripts = {
  missing: new URL("nowhere.js", import.meta.url),
  crash: new URL("./crash.js", import.meta.url),
  hang: new URL("./hang.js", import.meta.url),
};
const task = { kind: "any", options: 0, shared: [], payload: 0, label: "task" };

/** @returns code, place and cause of each failure */
export async function failures() {
  const told = {};
  for (const [name, workerUrl] of Object.entries(scripts)) {
    const executor = await createExecutor({ workers: 1, workerUrl, patience: 400 });
    const error = await executor.run([task], () => {}).catch((error) => error);
    await executor.close();
    told[name] = error instanceof HalftoneError ? [error.code, error.place, error.cause?.message] : [String(error)];
  }
  return told;
}
