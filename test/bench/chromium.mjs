// Runs one comparison in a page of Chromium: the page fetches its job and posts the result.
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { visit } from "../browser/chromium.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));

const page = `<!doctype html><title>halftone</title>
<script type="importmap">{ "imports": { "@litertjs/wasm-utils": "/test/bench/peers/node_modules/@litertjs/wasm-utils/dist/index.js" } }</script>
<script type="module">
  import { measure } from "/test/bench/contenders.mjs";
  import { createSession } from "/dist/runtime.js";
  import * as liteRt from "/test/bench/peers/node_modules/@litertjs/core/dist/index.js";
  import * as ort from "/test/bench/peers/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
  const post = (body) => fetch("/result", { method: "POST", body: JSON.stringify(body) });
  try {
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = location.origin + "/test/bench/peers/node_modules/onnxruntime-web/dist/";
    const bytes = async (name) => new Uint8Array(await (await fetch("/job/" + name)).arrayBuffer());
    const job = await (await fetch("/job")).json();
    for (const name of Object.keys(job.files)) job.files[name] = await bytes(name);
    for (const name of Object.keys(job.bare)) job.bare[name].bytes = await bytes("bare-" + name);
    if (job.files.tflite) await liteRt.loadLiteRt("/test/bench/peers/node_modules/@litertjs/core/wasm/");
    const result = await measure({ ort, createSession, liteRt: job.files.tflite && liteRt }, job);
    await post({ version: navigator.userAgent.match(/Chrome\\/([0-9]+)/)?.[1], result });
  } catch (error) {
    await post({ error: String(error?.stack ?? error) });
  }
</script>`;

/** @returns { version, result } as contenders.mjs measures */
export async function browserMeasure(job) {
  const bytes = { ...job.files, ...Object.fromEntries(Object.entries(job.bare).map(([name, b]) => [`bare-${name}`, b.bytes])) };
  const names = Object.fromEntries(Object.keys(job.files).map((name) => [name, 0]));
  const plain = JSON.stringify({ ...job, files: names }, (key, value) => (key === "bytes" ? 0 : value));
  const fileOf = (url) => {
    if (url === "/") return page;
    if (url === "/job") return plain;
    if (url.startsWith("/job/")) return bytes[url.slice(5)];
    try {
      return readFileSync(path.join(root, path.normalize(url)));
    } catch {
      return undefined;
    }
  };
  const answer = JSON.parse(await visit(fileOf, { timeout: 600_000 }));
  if (answer.error) throw new Error(answer.error);
  return answer;
}
