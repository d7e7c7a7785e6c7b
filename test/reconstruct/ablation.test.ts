import { expect, test } from "vitest";
import { chooseMethod } from "../../src/reconstruct/choose.ts";
import { ablate, arms, holm, nameOf, paired, verdict } from "../bench/ablation.arms.mjs";
import { run } from "./network.ts";

const differences = [0.41, -0.12, 0.33, 0.05, 0.27, -0.04, 0.18, 0.36];

test("eight paired differences: interval, exact sign flips, and the rule's answer", () => {
  const result = paired(differences);
  expect(result.mean).toBeCloseTo(0.18, 9);
  expect(result.sd).toBeCloseTo(0.196832053139, 9);
  expect(result.interval[0]).toBeCloseTo(0.0154442855691, 4);
  expect(result.interval[1]).toBeCloseTo(0.344555714431, 4);
  expect(result.p).toBe(0.046875);
  expect(verdict(result, result.p)).toBe("matters");
  expect(paired([0, 0, 0, 0]).p).toBe(1);
  expect(paired([...differences].reverse()).p).toBe(result.p);
});

test("Holm's adjustment never falls below the p itself, and keeps their order", () => {
  expect(holm([0.01, 0.04, 0.03])).toEqual([0.03, 0.06, 0.06]);
});

test("every arm is a cell that the method takes, and no two are the same", () => {
  expect(new Set(arms.map(nameOf)).size).toBe(arms.length);
  for (const { learning } of arms) chooseMethod({ method: "qdrop", learning: learning ?? {}, floatActivations: false });
});

test("a small ablation: the same seeds for every arm, rates chosen on another, an arm that is the default differs by nothing", async () => {
  const seen: string[] = [];
  const results = await ablate({
    async run({ learning, seed }) {
      seen.push(`${JSON.stringify(learning)} ${seed}`);
      const { parts } = await run({ method: "qdrop", seed, learning });
      return { metric: -parts.reduce((sum, { lossAfter }) => sum + lossAfter, 0) };
    },
    defaults: { iterations: 8, rate: 2e-2 },
    chosen: [
      { column: "batch", learning: { batch: 32 } },
      { column: "optimizer", learning: { optimizer: "radam" }, scaled: true },
    ],
    seeds: 2,
  });
  expect(results.map(({ name }) => name)).toEqual(["batch 32", "optimizer radam"]);
  expect(results[0]).toMatchObject({ mean: 0, sd: 0, p: 1, verdict: "robust" });
  expect(results[1]!.mean).not.toBe(0);
  expect(seen.filter((each) => each.endsWith(" 100")).length).toBe(3);
  expect(seen.length).toBe(2 + 2 + 3 + 2);
});
