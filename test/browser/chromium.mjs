// A page of headless Chromium, a local server that gives it files, and the answer that the page posts to /result. No driver needed.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";

const executable = process.env.CHROMIUM ?? "/usr/bin/chromium";
export const hasChromium = existsSync(executable);

const types = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};
/** What lets a page share memory between threads. */
const isolation = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

function server(fileOf, isolated, done) {
  return http.createServer(async (request, response) => {
    const url = decodeURIComponent(request.url.split("?")[0]);
    if (url === "/result") {
      let body = "";
      for await (const chunk of request) body += chunk;
      response.end();
      done(body);
      return;
    }
    const body = await fileOf(url);
    if (body === undefined) {
      response.writeHead(404).end();
      return;
    }
    const type = types[path.extname(url === "/" ? "index.html" : url)] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": type, ...(isolated ? isolation : {}) }).end(body);
  });
}

/**
 * Opens "/" and waits for what the page posts to /result.
 *
 * @param fileOf the bytes or text at a path, or undefined
 */
export async function visit(fileOf, { isolated = false, timeout = 120_000 } = {}) {
  const profile = mkdtempSync(path.join(tmpdir(), "halftone-chromium-"));
  let site;
  let browser;
  let timer;
  try {
    return await new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`the page gave no answer within ${timeout} ms`)), timeout);
      site = server(fileOf, isolated, resolve);
      site.listen(0, "127.0.0.1", () => {
        const address = `http://127.0.0.1:${site.address().port}/`;
        browser = spawn(executable, [...flags, `--user-data-dir=${profile}`, address], { stdio: "ignore", detached: true });
        browser.on("error", reject);
      });
    });
  } finally {
    clearTimeout(timer);
    site?.close();
    site?.closeAllConnections();
    if (browser && browser.exitCode === null) {
      const ended = new Promise((resolve) => browser.once("exit", resolve));
      // Its own process group: the browser and all its processes.
      process.kill(-browser.pid);
      await ended;
    }
    try {
      rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    } catch {
      // A last process is still writing: what is left lies in the system's folder for temporary files.
    }
  }
}
