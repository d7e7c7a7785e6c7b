import { expect, test } from "vitest";
import { logicalElements } from "../../src/plan/layout.ts";
import type { ConvStep } from "../../src/plan/types.ts";
import { profileRows } from "../../src/report/profile.ts";
import { createSession } from "../../src/runtime/index.ts";
import { randomPlan } from "../plan/random.ts";
import { integerModule } from "../runtime/kernels.ts";

test("each step of a plan has its time, and its rate where it has weights", async () => {
  const plan = randomPlan(3, 12);
  const conv = plan.steps.findIndex(({ kernel }) => kernel === "conv");
  expect(conv).toBeGreaterThanOrEqual(0);
  const session = await createSession(plan, { wasm: await integerModule() });
  const inputs = Object.fromEntries(plan.inputs.map((i) => [plan.values[i]!.name, new Int8Array(logicalElements(plan.values[i]!))]));
  const times = session.profile(inputs, 3);
  expect(times).toHaveLength(plan.steps.length);
  for (const ms of times) expect(ms >= 0 && ms < 1000).toBe(true);
  const rows = profileRows(
    plan,
    plan.steps.map(() => 0.5),
  );
  const step = plan.steps[conv] as ConvStep;
  const output = plan.values[step.output]!;
  const pixels = logicalElements(output) / output.dims[output.order.at(-1)!]!;
  const channels = plan.values[step.input]!.dims[plan.values[step.input]!.order.at(-1)!]!;
  const products = (plan.tensors.get(step.bias)!.length * step.window[0] * step.window[1] * channels) / step.groups;
  expect(rows[conv]).toMatchObject({ step: conv, kernel: "conv", ms: 0.5, output: output.dims });
  expect(rows[conv]!.gops).toBeCloseTo((2 * products * pixels) / 0.5e6, 9);
  for (const row of rows) expect(row.gops === undefined).toBe(row.kernel !== "conv");
});
