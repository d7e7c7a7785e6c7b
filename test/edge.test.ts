// examples/edge in the real workerd and in a generic edge VM: the answers of this process, on the runtime as it is shipped.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { encode } from "fast-png";
import { beforeAll, expect, test } from "vitest";
import { createSession } from "../src/runtime/index.ts";
import { writePlan } from "../src/plan/writer.ts";
import { pictureModel } from "./browser/model.ts";
import { install, missingPackage } from "./examples.ts";
import { bundleRuntime } from "./runtime/bundle.ts";
import { integerModule } from "./runtime/kernels.ts";

const packages = ["esbuild", "miniflare", "edge-runtime"];
const missing = missingPackage("edge", packages);
const withPackages = test.skipIf(missing !== undefined);
const why = missing ? ` (${missing} is not installed: npm install --prefix examples/edge)` : "";

type Runtimes = {
  workerd(folder: string): object;
  vm(folder: string): object;
};
type Answer = { status: number; json(): Promise<unknown>; text(): Promise<string> };
type Send = (body: Uint8Array | string, method?: string) => Promise<Answer>;

const plan = await pictureModel();
const size = 64;
const pixels = Uint8Array.from({ length: size * size * 3 }, (_, i) => (i * 37) % 256);
const picture = encode({ width: size, height: size, data: pixels, channels: 3, depth: 8 });
let folder = "";
let dist = "";
let runtimes: Runtimes;

beforeAll(async () => {
  if (missing !== undefined) return;
  folder = install("edge", packages, await bundleRuntime("test-edge-runtime"));
  dist = join(folder, "dist");
  writeFileSync(join(folder, "model.halftone"), await writePlan(plan));
  const { status, stdout, stderr } = spawnSync(process.execPath, ["build.mjs"], { cwd: folder, encoding: "utf8" });
  expect(status, stdout + stderr).toBe(0);
  runtimes = (await import(pathToFileURL(join(folder, "runtimes.mjs")).href)) as Runtimes;
}, 120_000);

/** What the handler must say of the picture. */
async function expected(): Promise<{ classes: { label: string; logit: number }[] }> {
  const session = await createSession(plan, { wasm: await integerModule() });
  const data = Uint8ClampedArray.from({ length: size * size * 4 }, (_, i) => (i % 4 === 3 ? 255 : pixels[(i >> 2) * 3 + (i % 4)]!));
  const { values } = session.run({ width: size, height: size, data }).classes!;
  const classes = Array.from(values, (logit, i) => ({ label: plan.labels![i]!, logit }));
  return { classes: classes.sort((a, b) => b.logit - a.logit).slice(0, 5) };
}

async function check(send: Send): Promise<void> {
  const answer = await send(picture);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual(await expected());
  const garbled = await send("not a picture");
  expect(garbled.status).toBe(422);
  expect(await garbled.json()).toMatchObject({ code: "DATA_MALFORMED" });
  const small = await send(encode({ width: 8, height: 8, data: new Uint8Array(192), channels: 3, depth: 8 }));
  expect(small.status).toBe(422);
  expect(await small.json()).toMatchObject({ code: "INPUT_MISMATCH" });
  expect((await send("", "PUT")).status).toBe(405);
  expect(await (await send(picture)).json()).toEqual(await expected());
}

async function load<T>(name: string): Promise<T> {
  return (await import(pathToFileURL(join(folder, "node_modules", name, entryOf(name))).href)) as T;
}

function entryOf(name: string): string {
  return (JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8")) as { main: string }).main;
}

withPackages(`workerd classifies a posted picture${why}`, { timeout: 60_000 }, async () => {
  type Server = { ready: Promise<URL>; dispatchFetch(url: URL, init: object): Promise<Answer>; dispose(): Promise<void> };
  const { Miniflare } = await load<{ Miniflare: new (options: object) => Server }>("miniflare");
  const server = new Miniflare(runtimes.workerd(dist));
  try {
    const url = await server.ready;
    await check((body, method = "POST") => server.dispatchFetch(url, { method, body }));
  } finally {
    await server.dispose();
  }
});

withPackages(`a generic edge VM classifies a posted picture${why}`, { timeout: 60_000 }, async () => {
  type Vm = { dispatchFetch(url: string, init: object): Promise<Answer> };
  const { EdgeRuntime } = await load<{ EdgeRuntime: new (options: object) => Vm }>("edge-runtime");
  const vm = new EdgeRuntime(runtimes.vm(dist));
  await check((body, method = "POST") => vm.dispatchFetch("https://edge.test/", { method, body }));
});

withPackages(`the worker's files are below 60 kB, gzipped, without the model${why}`, () => {
  const bytes = ["workerd.js", "integer.wasm"].map((name) => gzipSync(readFileSync(join(dist, name))).length);
  expect(bytes.reduce((sum, n) => sum + n)).toBeLessThan(60_000);
});

withPackages(`nothing is compiled from strings${why}`, () => {
  expect(readFileSync(join(dist, "workerd.js"), "utf8")).not.toMatch(/\beval\s*\(|\bnew Function\b|\bFunction\s*\(/);
});
