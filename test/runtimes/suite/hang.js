const own = "Deno" in globalThis || "Bun" in globalThis ? undefined : globalThis.process?.getBuiltinModule?.("node:worker_threads");
(own?.parentPort ?? globalThis).postMessage("alive");
for (;;);
