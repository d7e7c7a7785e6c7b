import { defineConfig } from "tsdown";

// The output mirrors the sources file by file, so every `new URL("…", import.meta.url)` is right in both.
const config: ReturnType<typeof defineConfig> = defineConfig({
  entry: ["src/index.ts", "src/runtime/index.ts", "src/cli/main.ts", "workers/worker.ts"],
  format: "esm",
  platform: "neutral",
  unbundle: true,
  dts: true,
  outDir: "dist",
  noExternal: ["@assemblyscript/loader"],
  external: [/^node:/],
  copy: [
    { from: "build/integer.wasm", to: "dist/build/integer.wasm" },
    { from: "build/float.wasm", to: "dist/build/float.wasm" },
    // The kernel types of `Engine`, which its declarations import.
    { from: "build/float.d.ts", to: "dist/build/float.d.ts" },
  ],
});
export default config;
