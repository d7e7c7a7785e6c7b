// Sessions of the built runtime with workers: Node 20 starts no TypeScript in them.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { goldenInputs } from "../../../src/plan/golden.ts";
import { writePlan } from "../../../src/plan/writer.ts";
import { randomPlan } from "../../plan/random.ts";
import { bundleRuntime } from "../bundle.ts";
import { layers } from "./layers.ts";

const folder = await bundleRuntime("test-threads");
const { createSession } = (await import(new URL("runtime.js", folder).href)) as typeof import("../../../src/runtime/index.ts");
const fixture = new URL("../../fixtures/version-1.halftone", import.meta.url);

test.for([2, 3, 5])("%i threads give the integers of one, whatever the shape of a layer", { timeout: 60_000 }, async (threads) => {
  const plan = layers();
  const [one, many] = await Promise.all([createSession(plan), createSession(plan, { threads })]);
  expect([one.threads, many.threads]).toEqual([1, threads]);
  for (let seed = 0; seed < 3; seed++) {
    const inputs = goldenInputs(plan, seed);
    const [expected, found] = [one.run(inputs), many.run(inputs)];
    for (const index of plan.outputs) {
      const { name } = plan.values[index]!;
      expect(found[name]!.codes, `${name} of input ${seed}`).toEqual(expected[name]!.codes);
    }
  }
  many[Symbol.dispose]();
  expect(() => many.run(goldenInputs(plan, 0))).toThrow(/disposed/);
});

test("small programs run on the caller's thread and prove themselves", async () => {
  const session = await createSession(fixture, { threads: 2 });
  expect(session.verify()).toBe(2);
  session[Symbol.dispose]();
});

test("a run that was broken off does not disturb the next", async () => {
  const plan = layers();
  const session = await createSession(plan, { threads: 2 });
  const inputs = goldenInputs(plan, 1);
  const expected = session.run(inputs);
  const broken = (): unknown =>
    session.trace(inputs, () => {
      throw new Error("seen enough");
    });
  expect(broken).toThrow("seen enough");
  const found = session.run(inputs);
  for (const name of Object.keys(expected)) expect(found[name]!.codes).toEqual(expected[name]!.codes);
  session[Symbol.dispose]();
});

test("a module with a memory of its own has one thread", async () => {
  const wasm = await WebAssembly.compile(readFileSync(new URL("integer.wasm", folder)));
  const session = await createSession(randomPlan(4), { wasm, threads: 4 });
  expect(session.threads).toBe(1);
});

test.for([0, 1.5, 65, Number.NaN])("%d threads are refused", async (threads) => {
  await expect(createSession(randomPlan(4), { threads })).rejects.toMatchObject({ code: "OPTION_INVALID", place: "threads" });
});

/** A script of its own, with one session of two threads over `layers`. */
async function script(body: string): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const plan = new URL("layers.halftone", folder);
  const { writeFileSync } = await import("node:fs");
  writeFileSync(plan, await writePlan(layers()));
  const code = `
    import { createSession } from ${JSON.stringify(new URL("runtime.js", folder).href)};
    const threads = process.getBuiltinModule("node:worker_threads");
    const workers = [];
    threads.Worker = class extends threads.Worker {
      constructor(...args) {
        super(...args);
        workers.push(this);
      }
    };
    const session = await createSession(new URL(${JSON.stringify(plan.href)}), { threads: 2 });
    const inputs = Object.fromEntries(session.plan.inputs.map((i) => {
      const { name, dims } = session.plan.values[i];
      return [name, new Int8Array(dims.reduce((product, d) => product * d, 1))];
    }));
    ${body}`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", code], {
    encoding: "utf8",
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

test("a session that nobody disposed of lets the process end", async () => {
  const { status, stdout } = await script(`session.run(inputs); console.log("ran", session.threads);`);
  expect([status, stdout]).toEqual([0, "ran 2\n"]);
});

test("a worker that was ended is told in one sentence", { timeout: 90_000 }, async () => {
  const { stdout } = await script(`
    session.run(inputs);
    await workers[0].terminate();
    try { session.run(inputs); console.log("ran"); } catch (error) { console.log(error.code, error.message); }`);
  expect(stdout).toMatch(/^WORKER_FAILED session: found a worker that ended: it exited with code 1, expected threads that run\./);
});
