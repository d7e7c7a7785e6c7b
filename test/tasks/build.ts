import { rm } from "node:fs/promises";
import { build } from "tsdown";

const outDir = new URL("../../build/test-workers/", import.meta.url);

/**
 * Workers are started from built files, as Node 20 reads no TypeScript. They are built afresh, so that a test never sees an older
 * source, into a folder of this process's own.
 */
export async function buildWorkers(): Promise<{ product: URL; test: URL; remove: () => Promise<void> }> {
  const folder = new URL(`${process.pid}/`, outDir);
  await build({
    config: false,
    entry: ["src/tasks/index.ts", "workers/worker.ts", "test/tasks/worker.ts"],
    format: "esm",
    platform: "neutral",
    unbundle: true,
    dts: false,
    clean: false,
    outDir: folder.pathname,
    noExternal: ["@assemblyscript/loader"],
    outputOptions: { preserveModulesRoot: process.cwd() },
    copy: [
      { from: "build/integer.wasm", to: new URL("build/integer.wasm", folder).pathname },
      { from: "build/float.wasm", to: new URL("build/float.wasm", folder).pathname },
    ],
    silent: true,
  });
  return {
    product: new URL("workers/worker.js", folder),
    test: new URL("test/tasks/worker.js", folder),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
