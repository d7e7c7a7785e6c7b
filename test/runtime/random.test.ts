import { expect, test } from "vitest";
import { interpretPlan } from "../../src/lower/interpret.ts";
import { logicalElements } from "../../src/plan/layout.ts";
import { createSession } from "../../src/runtime/index.ts";
import { Dice, randomPlan } from "../plan/random.ts";
import { integerModule } from "./kernels.ts";

test("random programs give the interpreter's integers, step by step", async () => {
  const wasm = await integerModule();
  for (let seed = 0; seed < 600; seed++) {
    const plan = randomPlan(seed);
    const dice = new Dice(seed + 1);
    const inputs = Object.fromEntries(plan.inputs.map((i) => [plan.values[i]!.name, dice.codes(logicalElements(plan.values[i]!))]));
    const session = await createSession(plan, { wasm });
    const expected: unknown[] = [];
    const outputs = interpretPlan(plan, inputs, (step, codes) => expected.push({ step, codes }));
    const seen: unknown[] = [];
    session.trace(inputs, (step, { codes }) => seen.push({ step, codes }));
    for (const [i, step] of seen.entries()) expect(step, `seed ${seed} ${JSON.stringify(plan.steps[i])}`).toEqual(expected[i]);
    // A second run meets what the first has left in the arena.
    const results = session.run(inputs);
    for (const [name, codes] of Object.entries(outputs)) expect(results[name]!.codes, `seed ${seed} output ${name}`).toEqual(codes);
  }
});
