// Runs one comparison in a page of headless Chromium: a local server gives the page its job and takes the result. No driver needed.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const executable = process.env.CHROMIUM ?? "/usr/bin/chromium";
const types = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };
const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const page = (script) => `<!doctype html><title>halftone</title><script type="module">${script}</script>`;

/** The job in a page: files are fetched, the result is posted. */
const runJob = `
  import { measure } from "/test/bench/contenders.mjs";
  import { createSession } from "/dist/src/runtime/index.js";
  import * as ort from "/test/bench/peers/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
  const post = (body) => fetch("/result", { method: "POST", body: JSON.stringify(body) });
  try {
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = location.origin + "/test/bench/peers/node_modules/onnxruntime-web/dist/";
    const bytes = async (name) => new Uint8Array(await (await fetch("/job/" + name)).arrayBuffer());
    const job = await (await fetch("/job")).json();
    for (const name of Object.keys(job.files)) job.files[name] = await bytes(name);
    for (const name of Object.keys(job.bare)) job.bare[name].bytes = await bytes("bare-" + name);
    const result = await measure({ ort, createSession }, job);
    await post({ version: navigator.userAgent.match(/Chrome\\/([0-9]+)/)?.[1], result });
  } catch (error) {
    await post({ error: String(error?.stack ?? error) });
  }`;

function serve(job, done) {
  const bytes = { ...job.files, ...Object.fromEntries(Object.entries(job.bare).map(([name, b]) => [`bare-${name}`, b.bytes])) };
  const plain = JSON.stringify({ ...job, files: Object.fromEntries(Object.keys(job.files).map((name) => [name, 0])) }, (key, v) =>
    key === "bytes" ? 0 : v,
  );
  return http.createServer((request, response) => {
    const url = decodeURIComponent(request.url.split("?")[0]);
    const send = (type, body) => response.writeHead(200, { "content-type": type }).end(body);
    if (url === "/") return send("text/html", page(runJob));
    if (url === "/job") return send("application/json", plain);
    if (url.startsWith("/job/")) return send("application/octet-stream", bytes[url.slice(5)]);
    if (url === "/result") {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        response.end();
        done(JSON.parse(body));
      });
      return undefined;
    }
    try {
      return send(types[path.extname(url)] ?? "application/octet-stream", readFileSync(path.join(root, path.normalize(url))));
    } catch {
      return response.writeHead(404).end();
    }
  });
}

/** @returns { version, result } as contenders.mjs measures */
export async function browserMeasure(job) {
  const profile = mkdtempSync(path.join(tmpdir(), "halftone-chromium-"));
  let server;
  let browser;
  try {
    const answer = await new Promise((resolve, reject) => {
      server = serve(job, resolve);
      server.listen(0, "127.0.0.1", () => {
        const address = `http://127.0.0.1:${server.address().port}/`;
        browser = spawn(executable, [...flags, `--user-data-dir=${profile}`, address], { stdio: "ignore" });
        browser.on("error", reject);
      });
    });
    if (answer.error) throw new Error(answer.error);
    return answer;
  } finally {
    server?.close();
    server?.closeAllConnections();
    if (browser && browser.exitCode === null) {
      const ended = new Promise((resolve) => browser.once("exit", resolve));
      browser.kill();
      await ended;
    }
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
