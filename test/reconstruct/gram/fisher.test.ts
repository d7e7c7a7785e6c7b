import { expect, test } from "vitest";
import type { Dataset, Preprocessing, RawSample } from "../../../src/data/types.ts";
import { createDifferentiable } from "../../../src/engine/index.ts";
import { prepare } from "../../../src/graph/prepare.ts";
import type { Tensor } from "../../../src/graph/types.ts";
import { readModel } from "../../../src/onnx/read.ts";
import { writeModel } from "../../../src/onnx/write.ts";
import { answerTemperature, fisherDraw, outputWeights } from "../../../src/reconstruct/gram/fisher.ts";
import { extended } from "../../../src/reconstruct/gram/gather.ts";
import { layerView } from "../../../src/reconstruct/gram/layer.ts";
import { randomWord, streamOf } from "../../../src/reconstruct/random.ts";
import { gatherFisher } from "../../../src/statistics.ts";
import { blobOf, createExecutor } from "../../../src/tasks/index.ts";
import { graphOf, node, randomTensor } from "../../graph/build.ts";

test("the mean over all signs of a draw's products is diag(p) − p pᵀ", () => {
  for (const logits of [
    [0.3, -1, 2, 0.5],
    [30, 0, -2, 1],
  ]) {
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit / 2), 0);
    const p = logits.map((logit) => Math.exp(logit / 2) / total);
    for (let i = 0; i < 4; i++) {
      for (let j = 0; j < 4; j++) {
        let sum = 0;
        for (let signs = 0; signs < 16; signs++) {
          const v = fisherDraw(logits, 2, (k) => ((signs >> k) & 1 ? 1 : -1));
          sum += (v[i]! * v[j]!) / 16;
        }
        const expected = (i === j ? p[i]! : 0) - p[i]! * p[j]!;
        expect(Math.abs(sum - expected)).toBeLessThan(1e-6 * Math.sqrt(p[i]! * p[j]!));
      }
    }
  }
});

/** Plain, grouped and pointwise convolutions, a branch, products of vectors. */
const model = writeModel(
  graphOf(
    { x: ["N", 3, 6, 6] },
    [
      node("a = Conv(x, wa)", { pads: [1, 1, 1, 1], strides: [2, 2] }),
      node("b = Relu(a)"),
      node("c = Conv(b, wc)", { pads: [1, 1, 1, 1], group: 2 }),
      node("d = Add(c, b)"),
      node("e = Relu(d)"),
      node("f = Conv(e, wf)"),
      node("g = Flatten(f)"),
      node("h = Gemm(g, wh)", { transB: 1 }),
      node("i = Tanh(h)"),
      node("y = MatMul(i, wy)"),
    ],
    {
      wa: randomTensor([6, 3, 3, 3], 1),
      wc: randomTensor([6, 3, 3, 3], 2),
      wf: randomTensor([4, 6, 1, 1], 3),
      wh: randomTensor([7, 36], 4),
      wy: randomTensor([7, 5], 5),
    },
  ),
);
const preprocessing: Preprocessing = { scale: 1, mean: [0, 0, 0], std: [1, 1, 1] };
const values = (index: number): Float32Array =>
  (randomTensor([108], 50 + index).data as Float32Array).map((value) => Math.round(value * 50 + 60) / 16);
const dataset: Dataset = {
  name: "noise",
  length: 11,
  labelled: false,
  async read(start, end) {
    return Array.from({ length: end - start }, (_, i): RawSample => {
      const at = start + i;
      return {
        place: `noise ${at}`,
        bytes: Uint8Array.from(values(at), (v) => v * 16),
        format: { kind: "planes", dims: [3, 6, 6] },
        label: -1,
      };
    });
  },
};

test("sums of gradients' products are those of samples run one by one", async () => {
  const graph = prepare(readModel(model));
  const views = ["a", "c", "f", "h", "y"].map((name) => layerView(graph, graph.nodes.find((each) => each.name === name)!)!);
  const executor = await createExecutor({ workers: 0 });
  const seed = 3;
  const run = { model: await blobOf(model), dataset, samples: 11, preprocessing: { ...preprocessing, scale: 1 / 16 }, executor };
  const sums = await gatherFisher(run, views, seed);
  const again = await gatherFisher(run, views, seed + 1);
  await executor.close();

  const outputs = new Map(views.map((view) => [view.node.outputs[0]!, view]));
  const engine = await createDifferentiable(graph, { parameters: outputs.keys() });
  const expected = new Map(views.map(({ node: { name }, groups, rows }) => [name, new Float64Array(groups * rows * rows)]));
  for (let sample = 0; sample < 11; sample++) {
    const input: Tensor = { dtype: "float32", dims: [1, 3, 6, 6], data: values(sample) };
    const logits = engine.read(engine.forward(new Map([["x", input]])).get("y")!).data as Float32Array;
    const stream = streamOf(seed, 0xf15e, sample);
    const data = fisherDraw(logits, answerTemperature, (k) => (randomWord(stream, k) & 1 ? 1 : -1));
    engine.backward(new Map([["y", { dtype: "float32", dims: [1, 5], data }]]), new Map(), {
      taps: new Set(outputs.keys()),
      tap(name, value) {
        const { node, groups, rows } = outputs.get(name)!;
        const sum = expected.get(node.name)!;
        const gradient = engine.read(value).data as Float32Array;
        const positions = gradient.length / (groups * rows);
        for (let g = 0, to = 0; g < groups; g++)
          for (let i = 0; i < rows; i++)
            for (let j = 0; j < rows; j++, to++)
              for (let p = 0; p < positions; p++)
                sum[to]! += gradient[(g * rows + i) * positions + p]! * gradient[(g * rows + j) * positions + p]!;
      },
    });
  }
  for (const view of views) {
    const { node, groups, rows } = view;
    const [sum, plain] = [sums.get(node.name)!, expected.get(node.name)!];
    const ld = extended({ depthwise: false }, rows);
    const largest = Math.max(...plain.map(Math.abs));
    expect(largest).toBeGreaterThan(0);
    for (let g = 0; g < groups; g++)
      for (let i = 0; i < rows; i++)
        for (let j = i; j < rows; j++)
          expect(Math.abs(sum[(g * ld + i) * ld + j]! - plain[(g * rows + i) * rows + j]!)).toBeLessThan(1e-5 * largest);
    expect(again.get(node.name)).not.toEqual(sum);

    // As weights: symmetric, the diagonal 1 in the mean, damped by a tenth of it, and otherwise in proportion.
    const weights = outputWeights(view, sum)!;
    let [mean, own] = [0, 0];
    for (let g = 0; g < groups; g++) {
      for (let i = 0; i < rows; i++) {
        mean += plain[(g * rows + i) * rows + i]! / (groups * rows);
        own += weights[(g * rows + i) * rows + i]! / (groups * rows);
      }
    }
    expect(own).toBeCloseTo(1, 10);
    plain.forEach((value, at) => {
      const diagonal = at % rows === Math.floor(at / rows) % rows;
      expect(weights[at]).toBeCloseTo((value / mean + (diagonal ? 0.1 : 0)) / 1.1, 4);
    });
  }
  expect(
    outputWeights(
      views[0]!,
      sums.get("a")!.map(() => 0),
    ),
  ).toBeUndefined();
});
