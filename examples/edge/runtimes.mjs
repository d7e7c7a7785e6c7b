// How the two bundles are started, for serve.mjs and whoever measures them.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Options of Miniflare: workerd with the modules of the bundle. */
export const workerd = (folder) => ({
  compatibilityDate: "2026-04-01",
  modulesRoot: folder,
  modules: [
    { type: "ESModule", path: join(folder, "workerd.js") },
    { type: "CompiledWasm", path: join(folder, "integer.wasm") },
    { type: "Data", path: join(folder, "model.halftone") },
  ],
});

/** Options of EdgeRuntime. */
export const vm = (folder) => ({ initialCode: readFileSync(join(folder, "vm.js"), "utf8") });
