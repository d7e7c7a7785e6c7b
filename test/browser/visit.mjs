// A page of a browser, a local server that gives it files, and the answer that the page posts to /result.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { once } from "node:events";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { browsers } from "./browsers.mjs";

const types = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};
/** What lets a page share memory between threads. */
const isolation = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

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

/** A virtual screen of whatever number is free. (xvfb-run, which does the same, may miss the signal that it waits for.) */
async function openDisplay() {
  const screen = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
    detached: true,
  });
  const [number] = await once(screen.stdio[3], "data");
  return { screen, variables: { DISPLAY: `:${number.toString().trim()}`, LIBGL_ALWAYS_SOFTWARE: "1" } };
}

/** Ends a process and all those it started: it leads a group of its own. */
async function end(child) {
  if (!child || child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  process.kill(-child.pid);
  const late = setTimeout(() => process.kill(-child.pid, "SIGKILL"), 5_000);
  await ended;
  clearTimeout(late);
}

/**
 * Opens "/" and waits for what the page posts to /result.
 *
 * @param fileOf the bytes or text at a path, or undefined
 */
export async function visit(fileOf, { browser = browsers.chromium, isolated = false, timeout = 120_000 } = {}) {
  const profile = mkdtempSync(path.join(tmpdir(), "halftone-browser-"));
  let site;
  let child;
  let timer;
  let display;
  try {
    if (browser.display) display = await openDisplay();
    return await new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`the page gave no answer within ${timeout} ms`)), timeout);
      site = server(fileOf, isolated, resolve);
      site.listen(0, "127.0.0.1", () => {
        const [executable, ...args] = browser.command(profile, `http://127.0.0.1:${site.address().port}/`);
        // A home of its own, where what has no flag for a profile keeps its caches.
        child = spawn(executable, args, { stdio: "ignore", detached: true, env: { ...process.env, HOME: profile, ...display?.variables } });
        child.on("error", reject);
      });
    });
  } finally {
    clearTimeout(timer);
    site?.close();
    site?.closeAllConnections();
    await end(child);
    await end(display?.screen);
    try {
      rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    } catch {
      // A last process is still writing: what is left lies in the system's folder for temporary files.
    }
  }
}
