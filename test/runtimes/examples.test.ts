// examples/deno and examples/bun as their readers would run them.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { readPlan } from "../../src/plan/reader.ts";
import { writePlan } from "../../src/plan/writer.ts";
import { createSession } from "../../src/runtime/index.ts";
import { pictureModel } from "../browser/model.ts";
import { install } from "../examples.ts";
import { integerModule } from "../runtime/kernels.ts";
import { runtimes } from "./runtimes.mjs";

const root = join(import.meta.dirname, "../..");
const dist = pathToFileURL(join(root, "dist/"));

function example(name: string): { found: boolean; why: string; executable: string } {
  const { found, executable, install } = runtimes.find((runtime) => runtime.name === name)!;
  return { found, executable: executable!, why: found ? "" : ` (missing: ${install})` };
}

const deno = example("Deno");
test.skipIf(!deno.found)(`deno: quantizes on a pool and proves its program${deno.why}`, { timeout: 300_000 }, async () => {
  const folder = install("deno", [], dist);
  const files = ["calibration-images-idx3-ubyte.gz", "calibration-labels-idx1-ubyte.gz"];
  for (const file of files) copyFileSync(join(root, "examples/fashion", file), join(folder, file));
  copyFileSync(join(root, "test/fixtures/tiny.onnx"), join(folder, "tiny.onnx"));
  const script = ["run", "--allow-read", "--allow-write", "quantize.ts", "tiny.onnx", ...files, "tiny.halftone"];
  const { stdout } = await promisify(execFile)(deno.executable, script, { cwd: folder, env: { ...process.env, NO_COLOR: "1" } });
  expect(stdout).toMatch(/^tiny\.halftone: \d+ bytes, top-1 [\d.]+ % of 256 samples, [\d.]+ % of answers as before\n$/);
  expect(Number(stdout.match(/([\d.]+) % of answers/)![1])).toBeGreaterThan(95);
  const plan = await readPlan(new Uint8Array(readFileSync(join(folder, "tiny.halftone"))));
  expect((await createSession(plan, { wasm: await integerModule() })).verify()).toBe(2);
});

const bun = example("Bun");
test.skipIf(!bun.found)(`bun: serves the answers of Node, and says what is wrong${bun.why}`, { timeout: 120_000 }, async () => {
  const folder = install("bun", [], dist);
  const plan = await pictureModel();
  writeFileSync(join(folder, "model.halftone"), await writePlan(plan));
  const server = spawn(bun.executable, ["serve.ts", "model.halftone", "0"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void server.kill());
  const [line] = (await once(server.stdout, "data")) as [Buffer];
  const address = line.toString().match(/^2 golden inputs proved, listening on (http:\S+)\n$/)![1]!;

  const picture = Uint8Array.from({ length: 3 * 64 * 64 }, (_, i) => (i * 37) % 256);
  const { values } = (await createSession(plan, { wasm: await integerModule() })).run(picture).classes!;
  const best = values.indexOf(Math.max(...values));
  const post = (body: Uint8Array<ArrayBuffer>): Promise<Response> => fetch(address, { method: "POST", body });
  expect(await (await post(picture)).json()).toEqual({ label: plan.labels![best], logit: values[best] });
  const refused = await post(new Uint8Array(5));
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({ code: "INPUT_MISMATCH", place: "input 'picture'" });
});
