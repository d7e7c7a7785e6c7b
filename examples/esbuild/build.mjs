// esbuild leaves `new URL(…, import.meta.url)` as it is: the files it names are copied beside the output.
import { copyFileSync } from "node:fs";
import { build } from "esbuild";

await build({ entryPoints: ["main.js"], bundle: true, format: "esm", minify: true, outdir: "dist" });
for (const name of ["integer.wasm", "integer-threads.wasm", "thread.js"]) copyFileSync(`node_modules/halftone/dist/${name}`, `dist/${name}`);
copyFileSync("index.html", "dist/index.html");
