import { expect, test } from "vitest";
import { dequantizeWeights } from "../../../src/formats/weights.ts";
import { biasScale } from "../../../src/quantized/bias.ts";
import { Learner } from "../../../src/reconstruct/network/learner.ts";
import { numbersLayout } from "../../../src/reconstruct/network/numbers.ts";
import { findQuantizers } from "../../../src/reconstruct/quantizers.ts";
import { randomTensor } from "../../graph/build.ts";
import { run } from "../network.ts";

const { quantized: start } = await run({ method: "gptq", weights: 3, activations: 4 });
const quantizers = findQuantizers(start);
const layout = numbersLayout(start, quantizers);
const groups = new Set(quantizers.map(({ group }) => group));
const rates = { codes: 0.1, scales: 0.01, biases: 0.01, steps: 0.01 };

test("learning starts at the codes and biases that are given", () => {
  const { weights, activations } = new Learner(start, layout, groups).result();
  for (const [name, { codes, encoding }] of start.weights) {
    expect(weights.get(name)!.codes).toEqual(codes);
    expect(weights.get(name)!.encoding).toEqual(encoding);
  }
  expect(activations).toEqual(start.activations);
});

test("what a pass runs with is what the result's codes stand for", () => {
  const learner = new Learner(start, layout, groups);
  const numbers = new Float32Array(layout.length);
  for (let i = 0; i < 20; i++) {
    const gradients = randomTensor([layout.length], i).data as Float32Array;
    learner.step(gradients, rates, 1);
  }
  learner.write(numbers);
  const result = learner.result();
  const kinds = new Set<string>();
  for (const { kind, name, offset, length } of layout.slots) {
    kinds.add(kind);
    const own = numbers.subarray(offset, offset + length);
    if (kind === "weight") expect(own).toEqual(dequantizeWeights(result.weights.get(name)!).data);
    if (kind === "step") expect(own[0]).toBe(result.activations.get(name)!.scale[0]);
    if (kind === "bias") {
      const node = start.graph.nodes.find((each) => each.name === name)!;
      const input = result.activations.get(node.inputs[0]!)!.scale[0]!;
      const { scale } = result.weights.get(name)!.encoding;
      const codes = result.biases!.get(name)!;
      expect(own).toEqual(Float32Array.from(codes, (code, o) => code * biasScale(input, scale[o]!)));
    }
  }
  expect(kinds).toEqual(new Set(["weight", "bias", "step"]));
  const moved = [...start.weights].filter(([name, { codes }]) => result.weights.get(name)!.codes.some((code, i) => code !== codes[i]));
  expect(moved).toHaveLength(start.weights.size);
});

test("step sizes that are not learned stay", () => {
  const learner = new Learner(start, layout, new Set());
  learner.step(new Float32Array(layout.length).fill(1), rates, 1);
  expect(learner.result().activations).toEqual(start.activations);
});

test("a learner that is put back goes on to the same bits", () => {
  const [first, second] = [new Learner(start, layout, groups), new Learner(start, layout, groups)];
  const gradients = (i: number): Float32Array => randomTensor([layout.length], i).data as Float32Array;
  for (let i = 0; i < 5; i++) first.step(gradients(i), rates, 1);
  second.restore(structuredClone(first.state));
  for (let i = 5; i < 8; i++) for (const learner of [first, second]) learner.step(gradients(i), rates, 1);
  expect(second.state).toEqual(first.state);
  expect(second.result()).toEqual(first.result());
});
