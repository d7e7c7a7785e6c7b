import { expect, test } from "vitest";
import { interpretPlan } from "../../src/lower/interpret.ts";
import { goldenCodes, goldenInputs } from "../../src/plan/golden.ts";
import { readPlan } from "../../src/plan/reader.ts";
import type { Plan } from "../../src/plan/types.ts";
import { writePlan } from "../../src/plan/writer.ts";
import { createSession } from "../../src/runtime/index.ts";
import { withGolden } from "../../src/runtime/record.ts";
import { randomPlan } from "../plan/random.ts";
import { integerModule } from "./kernels.ts";

const wasm = await integerModule();

async function verify(plan: Plan): Promise<number> {
  using session = await createSession(plan, { wasm });
  return session.verify();
}

test("golden inputs are the bytes that docs/plan-format.md defines", () => {
  // fmix32 of 0 is 0, and of 1 is 0x514e28b7, as in MurmurHash3's own tests.
  expect([...goldenCodes(0, 0, 4)]).toEqual([0, 0x51, 0x30, 0x85 - 256]);
  expect(goldenCodes(1, 0, 1000)).not.toEqual(goldenCodes(2, 0, 1000));
  expect(goldenCodes(1, 1, 1000)).not.toEqual(goldenCodes(2, 0, 1000));
  expect(new Set(goldenCodes(7, 3, 4096)).size).toBe(256);
});

test("a plan carries its own answers, which are the interpreter's, and proves them after being written and read", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const plan = await withGolden(randomPlan(seed), { wasm });
    for (const golden of plan.golden!) {
      const expected = interpretPlan(plan, goldenInputs(plan, golden.seed));
      plan.outputs.forEach((index, k) => {
        expect(plan.tensors.get(golden.outputs[k]!)).toEqual(expected[plan.values[index]!.name]);
      });
    }
    const back = await readPlan(await writePlan(plan));
    expect(back.golden).toEqual(plan.golden);
    expect(await verify(back)).toBe(2);
  }
});

test("recording again changes nothing", async () => {
  const once = await withGolden(randomPlan(4), { wasm });
  expect(await writePlan(await withGolden(once, { wasm }))).toEqual(await writePlan(once));
});

test("a plan without golden inputs, as older versions wrote them, loads and proves nothing", async () => {
  const file = await writePlan(randomPlan(4));
  expect(await verify(await readPlan(file))).toBe(0);
});

test("one wrong integer is told with its place", async () => {
  const plan = await withGolden(randomPlan(4), { wasm });
  const name = plan.golden![1]!.outputs[0]!;
  const answers = plan.tensors.get(name)!.slice();
  const at = answers.length - 1;
  answers[at]! ^= 1;
  const wrong = verify({ ...plan, tensors: new Map([...plan.tensors, [name, answers]]) });
  const output = plan.values[plan.outputs[0]!]!.name;
  await expect(wrong).rejects.toMatchObject({
    code: "VERIFICATION_FAILED",
    place: `golden input 1, output '${output}', element ${at}`,
    expected: `${answers[at]}`,
    found: `${answers[at]! ^ 1}`,
  });
});
