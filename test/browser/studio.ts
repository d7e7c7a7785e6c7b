// The studio as its visitors get it: built, served with its own headers, in a Chromium all of whose requests pass through here.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { spawnSync } from "node:child_process";
import { build } from "tsdown";
import library from "../../tsdown.config.ts";
import { install, missingPackage } from "../examples.ts";
import { hasChromium } from "./chromium.mjs";

const root = join(import.meta.dirname, "../..");
const scopes = ["vite", "preact", "@preact", "comlink", "@fontsource-variable"];
const drivers = ["playwright-core", "axe-core"];

/** Why the studio cannot be tested here, or undefined. */
export const missing: string | undefined = hasChromium
  ? missingPackage("studio", [...scopes, ...drivers])?.concat(" is not installed: npm install --prefix examples/studio")
  : "no Chromium";

const require = createRequire(join(root, "examples/studio/package.json"));

/** What the tests use of Playwright, which is a package of the example alone. */
export interface Locator {
  click(): Promise<void>;
  fill(text: string): Promise<void>;
  focus(): Promise<void>;
  press(key: string): Promise<void>;
  selectOption(value: string): Promise<unknown>;
  setInputFiles(paths: string | readonly string[]): Promise<void>;
  textContent(): Promise<string | null>;
  screenshot(options: { path: string }): Promise<unknown>;
  boundingBox(): Promise<{ x: number; y: number; width: number; height: number } | null>;
}

export interface Page {
  goto(url: string): Promise<unknown>;
  reload(): Promise<unknown>;
  evaluate<T>(script: string | (() => T | Promise<T>)): Promise<T>;
  addInitScript(script: string): Promise<unknown>;
  waitForFunction<A>(holds: (argument: A) => unknown, argument?: A, options?: { timeout: number }): Promise<unknown>;
  waitForEvent(name: "download"): Promise<{ suggestedFilename(): string; path(): Promise<string> }>;
  locator(selector: string): Locator;
  getByLabel(label: string, options?: { exact: boolean }): Locator;
  getByRole(role: string, options: { name: string; exact?: boolean }): Locator;
  screenshot(options: { path: string; fullPage?: boolean }): Promise<unknown>;
  emulateMedia(options: { colorScheme?: "light" | "dark"; reducedMotion?: "reduce" }): Promise<void>;
  setViewportSize(size: { width: number; height: number }): Promise<void>;
  on(event: "pageerror", listener: (error: Error) => void): unknown;
  context(): {
    newCDPSession(page: Page): Promise<{ send(method: string, parameters: unknown): Promise<unknown> }>;
    close(): Promise<void>;
  };
  readonly keyboard: { press(key: string): Promise<void>; type(text: string): Promise<void> };
}

export interface Browser {
  newContext(options: unknown): Promise<{ newPage(): Promise<Page> }>;
  startTracing(page: Page, options: { categories: readonly string[] }): Promise<void>;
  stopTracing(): Promise<Buffer>;
  close(): Promise<void>;
}

/**
 * The library and the page, built into build/examples/studio. Returns the folder that is served.
 *
 * @param held test images of the example that the page has
 */
export async function buildStudio(held: number): Promise<string> {
  const outDir = "build/test-studio-library";
  rmSync(join(root, outDir), { recursive: true, force: true });
  const [whole] = library;
  const copy = ((whole as { copy: unknown }).copy as { from: string; to: string }[]).map(({ from, to }) => ({
    from,
    to: to.replace(/^dist/, outDir),
  }));
  await build({ ...whole, copy, outDir, dts: false, clean: false, config: false, silent: true } as Parameters<typeof build>[0]);
  const folder = install("studio", scopes, pathToFileURL(`${root}/${outDir}/`));
  rmSync(join(root, "build/examples/fashion"), { recursive: true, force: true });
  shorten(install("fashion", [], pathToFileURL(`${root}/${outDir}/`)), held);
  const vite = spawnSync(process.execPath, ["node_modules/vite/bin/vite.js", "build", "--logLevel", "error"], {
    cwd: folder,
    encoding: "utf8",
  });
  if (vite.status !== 0) throw new Error(vite.stdout + vite.stderr);
  return join(folder, "dist");
}

function shorten(fashion: string, held: number): void {
  for (const [name, header, each] of [
    ["test-images-idx3-ubyte.gz", 16, 784],
    ["test-labels-idx1-ubyte.gz", 8, 1],
  ] as const) {
    const path = join(fashion, name);
    const bytes = gunzipSync(readFileSync(path)).subarray(0, header + held * each);
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, held);
    writeFileSync(path, gzipSync(bytes));
  }
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};
const address = "http://studio.localhost/";
/** The browser's own calls home: a page under the studio's policy cannot make them. */
const browsersOwn = /\.google(apis)?\.com(:443)?(\/|$)/;

export interface Studio {
  readonly browser: Browser;
  /** Everything that left the browser: addresses of requests, in order. */
  readonly requests: string[];
  /** A page in which the example lies ready. */
  open(options?: unknown): Promise<Page>;
  close(): Promise<void>;
}

export async function openStudio(folder: string): Promise<Studio> {
  const { default: config } = (await import(join(folder, "../vite.config.ts"))) as {
    default: { preview: { headers: Record<string, string> } };
  };
  const requests: string[] = [];
  const noted = (url: string): void => void (browsersOwn.test(url) || requests.push(url));
  const server = http.createServer(({ url = "" }, response) => {
    noted(url);
    const path = url.startsWith(address) ? join(folder, url.slice(address.length).split("?")[0] || "index.html") : undefined;
    if (!path || !existsSync(path)) response.writeHead(404).end();
    else {
      const type = types[extname(path)] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type, ...config.preview.headers }).end(readFileSync(path));
    }
  });
  server.on("connect", ({ url = "" }, socket) => {
    noted(url);
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { chromium } = require("playwright-core") as { chromium: { launch(options: unknown): Promise<Browser> } };
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    proxy: { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--proxy-bypass-list=<-loopback>",
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
    ],
  });
  return {
    browser,
    requests,
    async open(options = {}) {
      const page = await (
        await browser.newContext({ viewport: { width: 1280, height: 900 }, permissions: ["camera"], ...(options as object) })
      ).newPage();
      await page.addInitScript(watchShifts);
      await page.goto(address);
      await ready(page);
      return page;
    },
    async close() {
      await browser.close();
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Sum of the shifts of the layout that no input of the user explains. */
const watchShifts = `globalThis.shifted = 0;
new PerformanceObserver((list) => { for (const e of list.getEntries()) if (!e.hadRecentInput) shifted += e.value; }).observe({ type: "layout-shift", buffered: true });`;

/** Waits as long as a busy machine may need. */
export const until = <A>(page: Page, holds: (argument: A) => unknown, argument?: A): Promise<unknown> =>
  page.waitForFunction(holds, argument, { timeout: 400_000 });

/** Until model and samples lie on the table and nothing runs. */
export const ready = (page: Page): Promise<unknown> =>
  until(
    page,
    () => document.querySelector(".check.good, .check.bad") && !document.querySelector<HTMLButtonElement>("button.primary")!.disabled,
  );

/** Until there is a program. Returns the hash of its file, or what went wrong. */
export async function made(page: Page): Promise<string> {
  await until(page, () => document.querySelector(".made code") || !document.querySelector<HTMLElement>(".problem")!.hidden);
  return page.evaluate(() => document.querySelector<HTMLElement>(".made code")?.title ?? document.querySelector(".problem")!.textContent);
}

/** Longest task of the page's main thread in milliseconds: by the clock, and of it on the processor. */
export function longestTask(trace: Buffer): { wall: number; cpu: number } {
  interface Event {
    readonly name: string;
    readonly ph: string;
    readonly pid: number;
    readonly tid: number;
    readonly dur: number;
    readonly tdur?: number;
    readonly args: { readonly name?: string };
  }
  const { traceEvents } = JSON.parse(trace.toString()) as { traceEvents: Event[] };
  const thread = ({ pid, tid }: Event): string => `${pid} ${tid}`;
  const main = new Set(traceEvents.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain").map(thread));
  const tasks = traceEvents.filter((event) => event.ph === "X" && event.name.endsWith("RunTask") && main.has(thread(event)));
  const longest = (of: (event: Event) => number): number => tasks.reduce((most, event) => Math.max(most, of(event)), 0) / 1000;
  // Where processor time was not taken, the clock's is an upper bound.
  return { wall: longest(({ dur }) => dur), cpu: longest(({ dur, tdur = dur }) => tdur) };
}

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary: string }[];
}

/** What axe finds against accessibility: names, roles, contrast. */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
  const violations = await page.evaluate<Violation[]>("axe.run().then(({ violations }) => violations)");
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`));
}
