// The same bytes everywhere: one suite over the public API, hashed in every runtime that is found, in-line and on pools of workers.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { writePlan } from "../../src/plan/writer.ts";
import { pictureModel } from "../browser/model.ts";
import { type Answer, type Job, type Laid, layOut } from "./lay-out.mjs";
import { runtimes } from "./runtimes.mjs";

const root = join(import.meta.dirname, "../..");
let laid: Laid;
let expected: Answer["passes"][number]["hashes"];

const jobOf = (...workers: number[]): Job => ({
  files: laid.files,
  plans: [],
  failures: true,
  passes: workers.map((workers) => ({ workers, threads: Math.min(2, Math.max(1, workers)) })),
});

beforeAll(async () => {
  if (!existsSync(join(root, "dist/runtime.js"))) throw new Error("dist/ is not built: npm run build, which npm test does first");
  const programs = { "picture.halftone": await writePlan(await pictureModel()) };
  laid = await layOut(join(root, "build/test-runtimes"), join(root, "dist"), programs);
  expected = (await runtimes[0]!.run(laid, jobOf(0))).passes[0]!.hashes;
}, 300_000);

test("every stage has a hash of its own", () => {
  expect(Object.keys(expected)).toEqual([
    "colour.jpg",
    "colour.png",
    "picture.halftone",
    ...["nearest", "gptq", "adaround"].flatMap((method) => {
      const own = ["ranges", "plan", "QDQ", "outputs"].map((stage) => `${method} ${stage}`);
      return method === "gptq" ? [...own, "accuracy"] : own;
    }),
    "typed error",
  ]);
  expect(new Set(Object.values(expected)).size).toBe(Object.keys(expected).length);
});

describe.for(runtimes)("$name", (runtime) => {
  const { found, install, run } = runtime;
  // What is expected comes from the first, in-line.
  const pools = runtime === runtimes[0] ? [1, 2, 16] : [0, 1, 2];
  test.skipIf(!found)(
    `computes the same bytes with ${pools.join(", ")} workers, and tells of broken ones${found ? "" : ` (missing: ${install})`}`,
    { timeout: 600_000 },
    async () => {
      const { passes, failures, simd, sharedMemory } = await run(laid, jobOf(...pools));
      expect(simd).toBe(true);
      for (const { workers, hashes, threads } of passes) {
        expect(hashes, `${workers} workers`).toEqual(expected);
        expect(threads).toBe(workers > 1 && sharedMemory ? 2 : 1);
      }
      expect(failures).toEqual({
        missing: ["WORKER_FAILED", "task", expect.stringMatching(/nowhere|could not be started/)],
        crash: ["WORKER_FAILED", "task", expect.stringContaining("out of the blue")],
        hang: ["WORKER_FAILED", "task", "no sign of life for 0.4 s"],
      });
    },
  );
});
