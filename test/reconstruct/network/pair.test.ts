import { expect, test } from "vitest";
import { Pair, type PairOrder } from "../../../src/reconstruct/network/pair.ts";
import { numbersLayout } from "../../../src/reconstruct/network/numbers.ts";
import { Learner } from "../../../src/reconstruct/network/learner.ts";
import { findQuantizers } from "../../../src/reconstruct/quantizers.ts";
import { randomTensor } from "../../graph/build.ts";
import { run } from "../network.ts";

const { quantized } = await run({ method: "nearest", weights: 8, activations: 8 });
const { graph } = quantized;
const input = randomTensor([4, 3, 8, 8], 5);

async function open(options: Partial<PairOrder>) {
  const quantizers = options.quantizers ?? [];
  const layout = numbersLayout(quantized, quantizers);
  const pair = await Pair.open({
    graph,
    layout,
    encoding: undefined,
    temperature: 2,
    features: ["r2"],
    featureWeight: 0.5,
    quantizers,
    ...options,
  });
  const numbers = new Float32Array(layout.length);
  new Learner(quantized, layout, new Set()).write(numbers);
  return { pair, layout, numbers };
}

test("gradients of weights and biases are those of the losses", async () => {
  const { pair, layout, numbers } = await open({});
  // Away from where the float network is: the losses are flat there.
  const moved = numbers.map((x, i) => x * (1 + 0.3 * Math.sin(i)));
  const loss = (at: Float32Array): number => {
    const { divergence, featureError } = pair.run(at, input);
    return 4 * divergence + 0.5 * featureError;
  };
  const { gradients } = pair.run(moved, input);
  expect(layout.slots.map(({ kind, name }) => `${kind} of ${name}`)).toContain("bias of c0");
  for (const { kind, name, offset, length } of layout.slots) {
    for (let i = offset; i < offset + length; i += Math.max(1, Math.floor(length / 5))) {
      const h = 2e-3;
      const [up, down] = [h, -h].map((d) => loss(moved.map((x, at) => (at === i ? x + d : x))));
      const expected = (up! - down!) / (2 * h);
      expect(Math.abs(gradients[i]! - expected), `${kind} of ${name}, element ${i - offset}`).toBeLessThan(
        2e-3 + 0.05 * Math.abs(expected),
      );
    }
  }
});

test("a network compared with itself has no losses and no gradients", async () => {
  const { pair, layout, numbers } = await open({});
  for (const { kind, name, constant, offset, length } of layout.slots) {
    const source =
      kind === "weight" ? graph.constants.get(graph.nodes.find((node) => node.name === name)!.inputs[1]!) : graph.constants.get(constant);
    numbers.set(source!.data as Float32Array, offset);
    expect(source!.data).toHaveLength(length);
  }
  const { divergence, featureError, gradients } = pair.run(numbers, input);
  expect(divergence).toBeCloseTo(0, 10);
  expect(featureError).toBeCloseTo(0, 10);
  for (const g of gradients) expect(Math.abs(g)).toBeLessThan(1e-6);
});

test("step sizes have gradients where activations are quantized", async () => {
  const { quantized: coarse } = await run({ method: "nearest", activations: 3 });
  const { pair, layout, numbers } = await open({ quantizers: findQuantizers(coarse) });
  const { gradients } = pair.run(numbers, input);
  const steps = layout.slots.filter(({ kind }) => kind === "step");
  expect(steps.length).toBeGreaterThan(3);
  expect(steps.filter(({ offset }) => gradients[offset] !== 0).length).toBeGreaterThan(3);
});
