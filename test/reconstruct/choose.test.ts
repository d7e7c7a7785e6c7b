import { expect, test } from "vitest";
import { chooseMethod } from "../../src/reconstruct/choose.ts";

const choose = (method: string, learning: Record<string, unknown>) => chooseMethod({ method, learning, floatActivations: false });

test("a cell that a closed-form method does not have is refused, not ignored", () => {
  expect(() => choose("gptq", { batch: 16 })).toThrow(/--batch: found method gptq, .* gptq takes iterations, rate, lambda/);
  expect(choose("gram-adaround", { iterations: 50 }).schedule.iterations).toBe(50);
  expect(choose("brecq", { batch: 16 }).schedule.batch).toBe(16);
});
