import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { nodeFiles } from "../../src/cli/files.ts";
import { openDataset } from "../../src/data/open.ts";
import { interpretPlan } from "../../src/lower/interpret.ts";
import { lower } from "../../src/lower/lower.ts";
import { logicalElements } from "../../src/plan/layout.ts";
import type { Plan } from "../../src/plan/types.ts";
import { quantize } from "../../src/quantize.ts";
import { createSession } from "../../src/runtime/index.ts";
import { dataDir, withData } from "../data.ts";
import { Dice, randomPlan } from "../plan/random.ts";
import { integerModule } from "./kernels.ts";

/** Every step's integers in the session and in the interpreter; then a second run, which meets what the first has left in the arena. */
async function compare(plan: Plan, dice: Dice, name: string): Promise<void> {
  const inputs = Object.fromEntries(plan.inputs.map((i) => [plan.values[i]!.name, dice.codes(logicalElements(plan.values[i]!))]));
  const session = await createSession(plan, { wasm: await integerModule() });
  const expected: unknown[] = [];
  const outputs = interpretPlan(plan, inputs, (step, codes) => expected.push({ step, codes }));
  const seen: unknown[] = [];
  session.trace(inputs, (step, { codes }) => seen.push({ step, codes }));
  expect(seen.length).toBe(expected.length);
  for (const [i, step] of seen.entries()) expect(step, `${name}, step ${i}: ${JSON.stringify(plan.steps[i])}`).toEqual(expected[i]);
  const results = session.run(inputs);
  for (const [output, codes] of Object.entries(outputs)) expect(results[output]!.codes, `${name}, output ${output}`).toEqual(codes);
}

test("random programs give the interpreter's integers, step by step", async () => {
  for (let seed = 0; seed < 600; seed++) await compare(randomPlan(seed), new Dice(seed + 1), `seed ${seed}`);
});

test("so do larger ones", async () => {
  for (let seed = 0; seed < 25; seed++)
    await compare(randomPlan(seed, 4, { channels: 48, side: 30 }), new Dice(seed + 1), `large seed ${seed}`);
});

const example = (name: string): string => new URL(`../../examples/fashion/${name}`, import.meta.url).pathname;

async function lowered(path: string, data: string, preprocessing: { scale: number; mean: number[]; std: number[] }): Promise<Plan> {
  const dataset = await openDataset(data, nodeFiles);
  return lower(await quantize({ model: readFileSync(path), name: path, dataset, preprocessing }, { samples: 16 }));
}

const fashion = { scale: 1 / 255, mean: [0.286], std: [0.353] };

test("a residual network gives the interpreter's integers in every layer", async () => {
  await compare(await lowered(example("resnet20.onnx"), example("calibration-images-idx3-ubyte.gz"), fashion), new Dice(1), "resnet20");
});

withData.for(["mobilenetv2", "tiny"])("fashion/%s gives the interpreter's integers in every layer", async (name) => {
  const path = `${dataDir}/fashion/${name}/model.onnx`;
  await compare(await lowered(path, example("calibration-images-idx3-ubyte.gz"), fashion), new Dice(2), name);
});
