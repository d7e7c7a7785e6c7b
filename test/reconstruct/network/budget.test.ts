import { expect, test } from "vitest";
import { planOf, workOf } from "../../../src/reconstruct/network/budget.ts";
import { graphOf, node, randomTensor } from "../../graph/build.ts";

const graph = graphOf(
  { x: ["N", 3, 8, 8] },
  [
    node("c = Conv(x, w, b)", { pads: [1, 1, 1, 1] }),
    node("r = Relu(c)"),
    node("g = GlobalAveragePool(r)"),
    node("f = Flatten(g)"),
    node("y = MatMul(f, m)"),
  ],
  { w: randomTensor([8, 3, 3, 3], 1), b: randomTensor([8], 2), m: randomTensor([8, 5], 3) },
);

test("a network's work is what a sample costs it", () => {
  expect(workOf(graph)).toEqual({ products: 8 * 64 * 27 + 5 * 8, elements: 8 * 64 * 2 + 8 + 8 + 5 });
});

test("twice the time is twice the steps, once the matrices have all samples", () => {
  const work = { products: 4e7, elements: 5e5 };
  const [short, long] = [1200, 2400].map((seconds) => planOf(seconds, work, 1024, 32, 22));
  expect([short!.samples, long!.samples]).toEqual([1024, 1024]);
  expect(long!.iterations / short!.iterations).toBeGreaterThan(2);
  expect(long!.iterations / short!.iterations).toBeLessThan(2.1);
});

test("in a short time the matrices have fewer samples, and there is always a step", () => {
  const work = { products: 4e7, elements: 5e5 };
  const { samples } = planOf(90, work, 1024, 32, 22);
  expect(samples).toBeGreaterThan(256);
  expect(samples).toBeLessThan(1024);
  expect(planOf(0.001, work, 1024, 32, 22)).toEqual({ samples: 256, iterations: 1 });
});
