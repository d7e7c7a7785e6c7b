// workerd takes .wasm and .halftone files as modules beside the script; the generic VM has them inside of it.
import { build } from "esbuild";

const common = { bundle: true, minify: true, outdir: "dist", assetNames: "[name]", logLevel: "warning" };

await build({
  ...common,
  entryPoints: ["workerd.js"],
  format: "esm",
  loader: { ".wasm": "copy", ".halftone": "copy" },
});
await build({
  ...common,
  entryPoints: ["vm.js"],
  format: "iife",
  target: "es2022",
  loader: { ".wasm": "binary", ".halftone": "binary" },
  // Where a module would look for files beside itself; here none is looked for.
  define: { "import.meta.url": '"file:///vm.js"' },
});
