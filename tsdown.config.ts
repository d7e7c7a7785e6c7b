import type { UserConfig } from "tsdown";

const common: UserConfig = {
  format: "esm",
  platform: "neutral",
  outDir: "dist",
  noExternal: ["@assemblyscript/loader"],
  external: [/^node:/],
};

/** Addresses of what src/runtime/ loads, made those of the files beside the bundle. */
const besideTheBundle = {
  name: "beside-the-bundle",
  transform: (code: string, id: string) =>
    id.includes("/src/runtime/")
      ? code.replace(/new URL\("[^"]*\/([\w-]+\.(?:wasm|js))", import\.meta\.url\)/g, 'new URL("./$1", import.meta.url)')
      : code,
};

const oneFile = (outDir: string, name: string, source: string): UserConfig => ({
  ...common,
  outDir,
  entry: { [name]: source },
  minify: true,
  dts: false,
  plugins: [besideTheBundle],
});

/** 'halftone/runtime', what users ship: one file with the kernels beside it, and the same two for threads. */
export const runtimeBundle = (outDir: string): UserConfig[] => [
  {
    ...oneFile(outDir, "runtime", "src/runtime/index.ts"),
    copy: ["integer.wasm", "integer-threads.wasm"].map((name) => ({ from: `build/${name}`, to: `${outDir}/${name}` })),
  },
  oneFile(outDir, "thread", "src/runtime/threads/thread.ts"),
];

const config: UserConfig[] = [
  // The output mirrors the sources file by file, so every `new URL("…", import.meta.url)` is right in both.
  {
    ...common,
    entry: [
      "src/index.ts",
      "src/runtime/index.ts",
      "src/report/index.ts",
      "src/runtime/threads/thread.ts",
      "src/cli/main.ts",
      "workers/worker.ts",
      "workers/sweep.ts",
    ],
    unbundle: true,
    dts: true,
    copy: [
      { from: "build/integer.wasm", to: "dist/build/integer.wasm" },
      { from: "build/integer-threads.wasm", to: "dist/build/integer-threads.wasm" },
      { from: "build/float.wasm", to: "dist/build/float.wasm" },
      // The kernel types of `Engine`, which its declarations import.
      { from: "build/float.d.ts", to: "dist/build/float.d.ts" },
    ],
  },
  ...runtimeBundle("dist"),
];
export default config;
