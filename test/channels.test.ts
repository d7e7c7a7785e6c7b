import { readFileSync } from "node:fs";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { correct, equalize } from "../src/channels.ts";
import type { Dataset, Preprocessing, RawSample } from "../src/data/types.ts";
import { createEngine } from "../src/engine/index.ts";
import { decodeCodes } from "../src/formats/linear.ts";
import { prepare } from "../src/graph/prepare.ts";
import type { Graph, Tensor } from "../src/graph/types.ts";
import { lower } from "../src/lower/lower.ts";
import { readModel } from "../src/onnx/read.ts";
import { writePlan } from "../src/plan/writer.ts";
import { quantize } from "../src/quantize.ts";
import type { QuantizeOptions } from "../src/quantized/options.ts";
import type { Quantized } from "../src/quantized/types.ts";
import { createExecutor } from "../src/tasks/index.ts";
import { buildWorkers } from "./tasks/build.ts";

const workers = await buildWorkers();
afterAll(workers.remove);

const model = new Uint8Array(readFileSync(new URL("./fixtures/tiny.onnx", import.meta.url)));
const preprocessing: Preprocessing = { scale: 1 / 255, mean: [0.286], std: [0.353] };
const count = 37;

const sampleOf = (index: number): RawSample => ({
  place: `picture ${index}`,
  bytes: Uint8Array.from({ length: 784 }, (_, i) => (Math.imul(i + 1, 2654435761 + 97 * index) >>> 24) % (7 * index + 2)),
  format: { kind: "planes", dims: [1, 28, 28] },
  label: -1,
});
const dataset: Dataset = {
  name: "pictures",
  length: count,
  labelled: false,
  read: async (start, end) => Array.from({ length: end - start }, (_, i) => sampleOf(start + i)),
};

const quantized = (options: Partial<QuantizeOptions>, work = {}): Promise<Quantized> =>
  quantize({ model, name: "tiny", dataset, preprocessing }, { samples: count, ...options }, work);

test("0, 1 and 2 workers give the same program", async () => {
  const programs: Buffer[] = [];
  for (const count of [0, 1, 2]) {
    const executor = await createExecutor({ workers: count, workerUrl: workers.product });
    onTestFinished(() => executor.close());
    const result = await quantized({ equalize: true, correct: true }, { executor });
    programs.push(Buffer.from(await writePlan(lower(result))));
    // Reach, histograms, errors, answers of the float network and with two rules: three slices each.
    expect(executor.done.reduce((sum, done) => sum + done)).toBe(18);
  }
  expect(Buffer.compare(programs[1]!, programs[0]!)).toBe(0);
  expect(Buffer.compare(programs[2]!, programs[0]!)).toBe(0);
});

test("by default codes of 8 bits come with both, others and those that are learned with neither", async () => {
  const [plain, chosen, narrow, learned] = await Promise.all([
    quantized({}),
    quantized({ equalize: true, correct: true }),
    quantized({ weights: 4 }),
    quantized({ method: "gptq" }),
  ]);
  const whole = await quantized({ method: "auto", learning: { iterations: 1 }, weights: 3, activations: 3 });
  expect(whole.provenance.options).toMatchObject({ equalize: true, correct: false });
  const small = await quantized({ method: "auto", learning: { iterations: 1 }, weights: 2, activations: 3 });
  expect(small.provenance.options).toMatchObject({ equalize: false });
  expect(plain.graph.constants).toEqual(chosen.graph.constants);
  const float = prepare(readModel(model));
  expect(narrow.graph.constants).toEqual(float.constants);
  expect(learned.provenance.options).toMatchObject({ equalize: false, correct: false });
  expect(plain.provenance.options).toMatchObject({ equalize: true, correct: true });
});

async function outputs(graph: Graph, wanted: readonly string[]): Promise<Map<string, Tensor>> {
  const engine = await createEngine(graph);
  const pixels = Array.from({ length: count }, (_, i) => [...sampleOf(i).bytes]).flat();
  const data = Float32Array.from(pixels, (v) => Math.fround(Math.fround(Math.fround(v / 255) - Math.fround(0.286)) / Math.fround(0.353)));
  return engine.run(new Map([[graph.inputs[0]!, { dtype: "float32", dims: [count, 1, 28, 28], data }]]), { also: wanted });
}

test("equalization keeps the answers", async () => {
  const graph = prepare(readModel(model));
  const equal = await equalize(model, graph, { dataset, samples: count, preprocessing });
  expect(equal.constants).not.toEqual(graph.constants);
  const [expected, answer] = [await outputs(graph, []), await outputs(equal, [])].map(
    (all) => all.get(graph.outputs[0]!)!.data as Float32Array,
  );
  expected!.forEach((y, i) => {
    expect(Math.abs(answer![i]! - y)).toBeLessThan(1e-5 * largest(expected!));
  });
});

test("a corrected layer's mean output on float inputs is that of the float layer", async () => {
  const { graph, weights } = await quantized({ weights: 4, equalize: false, correct: false });
  const corrected = await correct(graph, weights, { dataset, samples: count, preprocessing });
  const layers = graph.nodes.filter((node) => weights.has(node.name));
  expect(layers.length).toBeGreaterThan(3);
  const float = await outputs(
    graph,
    layers.flatMap(({ inputs, outputs }) => [inputs[0]!, outputs[0]!]),
  );
  for (const layer of layers) {
    // The layer alone, on float inputs, with its rounded weights and both biases.
    const { codes, encoding, dims } = weights.get(layer.name)!;
    const input = float.get(layer.inputs[0]!)!;
    const run = async (biases: Graph): Promise<Float32Array> => {
      const bias = biases.constants.get(layer.inputs[2]!)!;
      const rounded: Tensor = { dtype: "float32", dims, data: decodeCodes(codes, dims, encoding) };
      const names = [layer.inputs[0]!, "w", "b"];
      const facts = new Map([
        [names[0]!, { dtype: "float32" as const, dims: input.dims }],
        ["w", { dtype: "float32" as const, dims, constant: rounded }],
        ["b", { dtype: "float32" as const, dims: bias.dims, constant: bias }],
        [layer.outputs[0]!, graph.facts.get(layer.outputs[0]!)!],
      ]);
      const constants = new Map([
        ["w", rounded],
        ["b", bias],
      ]);
      const alone: Graph = {
        ...graph,
        inputs: [names[0]!],
        outputs: [layer.outputs[0]!],
        nodes: [{ ...layer, inputs: names }],
        constants,
        facts,
      };
      const engine = await createEngine(alone);
      return engine.run(new Map([[names[0]!, input]])).get(layer.outputs[0]!)!.data as Float32Array;
    };
    const expected = float.get(layer.outputs[0]!)!;
    const [plain, better] = [meanError(expected, await run(graph)), meanError(expected, await run(corrected))];
    expect(Math.max(...plain)).toBeGreaterThan(1e-3);
    expect(Math.max(...better)).toBeLessThan(1e-4 * largest(expected.data as Float32Array));
  }
});

const largest = (values: Float32Array): number => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

/** |mean over samples and positions| of the difference, by channel. */
function meanError({ dims, data }: Tensor, other: Float32Array): number[] {
  const [, channels = 1, ...spatial] = dims;
  const each = spatial.reduce((product, d) => product * d, 1);
  const sums = new Float64Array(channels);
  for (const [i, y] of (data as Float32Array).entries()) sums[Math.floor(i / each) % channels]! += y - other[i]!;
  return [...sums].map((sum) => Math.abs(sum) / (count * each));
}
