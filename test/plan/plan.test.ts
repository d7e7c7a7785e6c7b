import { expect, test } from "vitest";
import { checkPlan, readPlan } from "../../src/plan/reader.ts";
import { plansEqual, writePlan } from "../../src/plan/writer.ts";
import { randomPlan } from "./random.ts";

test("random programs keep every promise", () => {
  for (let seed = 0; seed < 2000; seed++) checkPlan(randomPlan(seed));
});

test("a plan reads back as it was written", async () => {
  for (let seed = 0; seed < 200; seed++) {
    const plan = randomPlan(seed);
    const bytes = await writePlan(plan);
    const back = await readPlan(bytes);
    expect(plansEqual(plan, back)).toBe(true);
    expect(back.provenance).toEqual(plan.provenance);
    expect(back.steps).toEqual(JSON.parse(JSON.stringify(plan.steps)));
    expect(await writePlan(back)).toEqual(bytes);
  }
});
