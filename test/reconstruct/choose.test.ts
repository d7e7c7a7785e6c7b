import { expect, test } from "vitest";
import { chooseMethod } from "../../src/reconstruct/choose.ts";
import { presets } from "../../src/reconstruct/presets.ts";

const choose = (method: string, learning: Record<string, unknown>) => chooseMethod({ method, learning, floatActivations: false });

test("a cell that a closed-form method does not have is refused, not ignored", () => {
  expect(() => choose("gptq", { batch: 16 })).toThrow(/--batch: found method gptq, .* gptq takes iterations, rate, lambda/);
  expect(choose("gram-adaround", { iterations: 50 }).schedule.iterations).toBe(50);
  expect(choose("brecq", { batch: 16 }).schedule.batch).toBe(16);
});

test("weights of outputs are for methods that work from Gram matrices", () => {
  expect(choose("gptq-descent", { outputWeights: "fisher" }).gram).toEqual({ ...presets["gptq-descent"].gram, outputs: "fisher" });
  expect(choose("auto", { outputWeights: "fisher" }).gram).toMatchObject({ outputs: "fisher" });
  expect(() => choose("qdrop", { outputWeights: "fisher" })).toThrow(/--outputWeights: found method qdrop/);
  expect(() => choose("gptq", { outputWeights: "hessian" })).toThrow(/expected identity, fisher/);
});

test("auto takes a budget, or the number of its steps; others plan with neither", () => {
  expect(choose("auto", { budget: 60 }).network).toMatchObject({ budget: 60, batch: presets.auto.network!.batch });
  expect(choose("auto", { iterations: 7, batch: 4 }).network).toMatchObject({ iterations: 7, batch: 4 });
  for (const [method, learning] of [
    ["qdrop", { budget: 60 }],
    ["gptq", { budget: 60 }],
    ["auto", { rate: 1e-3 }],
    ["auto", { budget: 0 }],
  ] as const) {
    expect(() => choose(method, learning)).toThrow(/, expected /);
  }
});
