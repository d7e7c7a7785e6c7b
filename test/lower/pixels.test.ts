// Programs that take stored numbers: the first layers hold scale, mean and std, and the border the code nearest to the mean.
import { expect, test } from "vitest";
import type { Preprocessing } from "../../src/data/types.ts";
import { createEngine } from "../../src/engine/index.ts";
import { prepare } from "../../src/graph/prepare.ts";
import type { Graph } from "../../src/graph/types.ts";
import { dequantizeWeights } from "../../src/formats/weights.ts";
import { interpretPlan } from "../../src/lower/interpret.ts";
import { lower } from "../../src/lower/lower.ts";
import type { ConvStep, Plan } from "../../src/plan/types.ts";
import { decodedWeights } from "../../src/plan/weights.ts";
import { encodeGraph } from "../../src/encode.ts";
import { defaultOptions, type QuantizeOptions } from "../../src/quantized/options.ts";
import { beforeGains, behindGains, pixelCodes, preparedBehindGains, valuesBehindGains } from "../../src/quantized/pixels.ts";
import type { Quantized } from "../../src/quantized/types.ts";
import { Histogram } from "../../src/ranges/histogram.ts";
import { Observer } from "../../src/ranges/observe.ts";
import { createSession } from "../../src/runtime/index.ts";
import { graphOf, node, randomTensor } from "../graph/build.ts";
import { Dice } from "../plan/random.ts";
import { integerModule } from "../runtime/kernels.ts";

const preprocessing: Preprocessing = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.3, 0.18] };
const bytes = { kind: "planes", dims: [3, 9, 8] } as const;

/** What the float network is fed. */
function normalised(v: Uint8Array, { scale, mean, std }: Preprocessing): Float32Array {
  const plane = v.length / mean.length;
  return Float32Array.from(v, (byte, i) => {
    const c = Math.floor(i / plane);
    return Math.fround(Math.fround(byte * scale) - Math.fround(mean[c]!)) / Math.fround(std[std.length === 1 ? 0 : c]!);
  });
}

const picture = (seed: number, length: number): Uint8Array => Uint8Array.from(new Dice(seed).codes(length), (c) => c + 128);

async function quantizePixels(graph: Graph, given = preprocessing, options: Partial<QuantizeOptions> = {}): Promise<Quantized> {
  const prepared = prepare(graph);
  const observer = new Observer(await createEngine(prepared));
  const [input] = graph.inputs as [string];
  const dims = graph.facts.get(input)!.dims as number[];
  const length = dims.reduce((product, d) => product * d, 1);
  const stored = pixelCodes(given, bytes);
  const encoded = await encodeGraph(
    prepared,
    { ...defaultOptions, ranges: "minmax", ...options },
    async (values) => {
      const histograms = values.map(() => new Histogram());
      for (let seed = 1; seed < 5; seed++) {
        const data = normalised(picture(seed, length), given);
        observer.observe(new Map([[input, { dtype: "float32", dims, data }]]), values, histograms);
      }
      return new Map(values.map((name, i) => [name, histograms[i]!]));
    },
    stored,
  );
  return { ...encoded, provenance: { source: "test", sourceHash: "", options: {}, seed: 0, preprocessing: given } };
}

const images = { x: [1, 3, 9, 8] };
const w = (...dims: number[]) => randomTensor(dims, dims.length + dims[0]!);
const padded = graphOf(images, [node("y = Conv(x, w, b)", { pads: [1, 1, 1, 1] })], { w: w(5, 3, 3, 3), b: w(5) });

test("bytes enter as they are: codes are v − 128, and the first sums are those of the folded weights, exactly", async () => {
  const quantized = await quantizePixels(padded);
  const plan = lower(quantized);
  expect(plan.pixels).toBe(true);
  const input = plan.values[plan.inputs[0]!]!;
  expect([input.scale, input.zeroPoint]).toEqual([[1], -128]);
  const [copy, conv] = plan.steps as [Plan["steps"][number], ConvStep];
  expect(copy.kernel).toBe("copy");
  expect(conv.pads).toEqual([0, 0, 0, 0]);

  const v = picture(9, 3 * 72);
  using session = await createSession(plan, { wasm: await integerModule() });
  const { codes } = session.run(v).y!;
  expect(interpretPlan(plan, { x: Int8Array.from(v, (byte) => byte - 128) }).y).toEqual(codes);
  expect(session.run(normalised(v, preprocessing)).y!.codes).toEqual(codes);

  // Σ q (v − mean) + b / s around one inner pixel, in real numbers.
  const weights = decodedWeights(plan, conv);
  const bias = quantized.graph.constants.get("b")!.data;
  for (let o = 0; o < 5; o++) {
    const scale = plan.values[conv.output]!.scale[o]!;
    let sum = Number(bias[o]) / scale;
    for (let t = 0; t < 9; t++)
      for (let c = 0; c < 3; c++) {
        const byte = v[c * 72 + (3 + Math.floor(t / 3)) * 8 + 2 + (t % 3)]!;
        sum += weights[(o * 9 + t) * 3 + c]! * (byte - preprocessing.mean[c]! * 255);
      }
    expect(Math.abs(codes[o * 72 + 4 * 8 + 3]! - sum)).toBeLessThan(1.1);
  }
});

test("around the picture stands the code nearest to each channel's mean", async () => {
  const plan = lower(await quantizePixels(padded));
  const [copy] = plan.steps;
  expect(copy?.kernel === "copy" && [...(plan.tensors.get(copy.fills!) as Int8Array)]).toEqual(
    preprocessing.mean.map((m) => Math.round(m * 255) - 128),
  );
});

test.for([
  [1, 1, 1, 1],
  [70, 3, 5, 200],
])("the border of a %d-channel picture is whole, whatever its size", async ([channels, ...sides]) => {
  const dims = [1, channels!, 40 + sides[0]!, 30 + sides[1]!];
  const graph = graphOf({ x: dims }, [node("y = Conv(x, v)", { pads: [3, 1, 2, sides[2]!] })], { v: w(2, channels!, 3, 3) });
  const given = { ...preprocessing, mean: Array.from({ length: channels! }, (_, c) => c / 80), std: [0.25] };
  const plan = lower(await quantizePixels(graph, given));
  const v = picture(
    2,
    dims.reduce((product, d) => product * d, 1),
  );
  using session = await createSession(plan, { wasm: await integerModule() });
  // As bytes: toEqual takes seconds for a million codes.
  const bytesOf = ({ buffer, byteOffset, byteLength }: Int8Array | Int32Array): Buffer => Buffer.from(buffer, byteOffset, byteLength);
  const steps: Buffer[] = [];
  session.trace(v, (_, { codes }) => steps.push(bytesOf(codes)));
  const expected: Buffer[] = [];
  interpretPlan(plan, { x: Int8Array.from(v, (byte) => byte - 128) }, (_, codes) => expected.push(bytesOf(codes)));
  expect(steps.map((codes, i) => codes.equals(expected[i]!))).toEqual(expected.map(() => true));
});

test("the error against floats is that of the weights alone inside, and half a code times the weights at the border", async () => {
  const quantized = await quantizePixels(padded);
  const plan = lower(quantized);
  const engine = await createEngine(quantized.graph);
  using session = await createSession(plan, { wasm: await integerModule() });
  const v = picture(11, 3 * 72);
  const data = normalised(v, preprocessing);
  const expected = engine.run(new Map([["x", { dtype: "float32", dims: [1, 3, 9, 8], data }]])).get("y")!.data as Float32Array;
  const { values } = session.run(v).y!;
  const largest = data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const constants = quantized.graph.constants.get("w")!.data as Float32Array;
  for (let o = 0; o < 5; o++) {
    const own = constants.subarray(o * 27, (o + 1) * 27);
    const weightError = (27 * largest * own.reduce((most, x) => Math.max(most, Math.abs(x)), 0)) / 127;
    const borderError = own.reduce((sum, x) => sum + Math.abs(x), 0) * (0.5 / 255 / Math.min(...preprocessing.std));
    for (let i = 0; i < 72; i++) expect(Math.abs(values[o * 72 + i]! - expected[o * 72 + i]!)).toBeLessThan(weightError + borderError);
  }
});

test("a program with residual: codes takes normalised numbers in one scale, as a QDQ file does", async () => {
  const quantized = await quantizePixels(padded);
  const plan = lower(quantized, { residual: "codes" });
  const { pixels: _pixels, ...without } = quantized;
  expect(plan.pixels).toBeUndefined();
  expect(plan).toEqual(lower(without, { residual: "codes" }));
});

const one: Preprocessing = { scale: 1 / 255, mean: [0.286], std: [0.353] };

test.for([
  ["a reshape and a product", [node("r = Reshape(x, shape)"), node("y = MatMul(r, w)")], { w: w(72, 4) }, one, true],
  ["two convolutions", [node("a = Conv(x, v)"), node("b = Conv(x, v)"), node("y = Add(a, b)")], { v: w(4, 1, 3, 3) }, one, true],
  ["an activation", [node("r = Relu(x)"), node("y = Conv(r, v)")], { v: w(4, 1, 3, 3) }, one, false],
  ["a sum with the input", [node("a = Conv(x, v)"), node("y = Add(a, x)")], { v: w(1, 1, 1, 1) }, one, false],
  ["a mean that no byte is near", [node("y = Conv(x, v)")], { v: w(4, 1, 3, 3) }, { ...one, mean: [-0.4] }, false],
] as const)("%s: pixels where weights alone read them", async ([, nodes, constants, given, enters]) => {
  const shape = { dtype: "int64" as const, dims: [2], data: BigInt64Array.of(1n, 72n) };
  const graph = graphOf({ x: [1, 1, 9, 8] }, nodes, { ...constants, shape });
  const plan = lower(await quantizePixels(graph, given));
  expect(plan.pixels).toBe(enters ? true : undefined);
  const v = picture(5, 72);
  using session = await createSession(plan, { wasm: await integerModule() });
  expect(session.run(v).y!.codes).toEqual(session.run(normalised(v, given)).y!.codes);
});

test("samples that are not stored in 8 bits are no pixels; signed ones count from 0", () => {
  const given = { scale: 0.58, mean: [48.5], std: [1] };
  const array = (dtype: "int8" | "uint8" | "float32") => ({ kind: "array", dtype, dims: [490] }) as const;
  expect(pixelCodes(given, array("float32"))).toBeUndefined();
  expect(pixelCodes(given, array("int8"))).toMatchObject({ zero: 0, step: 0.58 });
  expect(pixelCodes(given, array("uint8"))!.zero).toBe(-128);
});

test("what is learned behind the gains is what the program multiplies with, and comes back as weights for normalised numbers", async () => {
  const quantized = await quantizePixels(padded);
  const pixels = quantized.pixels!;
  const behind = behindGains(quantized, pixels);
  // The same network, on numbers prepared with one std, or divided by their gain.
  const v = picture(3, 3 * 72);
  const run = async (graph: Graph, data: Float32Array): Promise<Float32Array> => {
    const engine = await createEngine(graph);
    return engine.run(new Map([["x", { dtype: "float32", dims: [1, 3, 9, 8], data }]])).get("y")!.data as Float32Array;
  };
  const data = normalised(v, preprocessing);
  const moved = normalised(v, preparedBehindGains(preprocessing));
  const own = await run(quantized.graph, data);
  for (const [i, y] of (await run(behind.graph, moved)).entries()) expect(y).toBeCloseTo(own[i]!, 4);
  const divided = valuesBehindGains({ dtype: "float32", dims: [1, 3, 9, 8], data }, pixels).data as Float32Array;
  for (const [i, x] of divided.entries()) expect(x).toBeCloseTo(moved[i]!, 5);

  const name = padded.nodes[0]!.name;
  const weight = behind.weights.get(name)!;
  const learned = { ...behind, weights: new Map([[name, { ...weight, codes: weight.codes.map((c) => (c > 0 ? c - 1 : c)) }]]) };
  const back = beforeGains(quantized, pixels, behind, learned);
  expect(back.pixels!.weights.get(name)).toBe(learned.weights.get(name));
  expect(back.graph).toBe(quantized.graph);
  expect(back.sites).toBe(quantized.sites);
  const plain = back.weights.get(name)!;
  expect(plain.encoding).toBe(quantized.weights.get(name)!.encoding);
  const reals = dequantizeWeights(plain).data as Float32Array;
  const original = quantized.graph.constants.get("w")!.data as Float32Array;
  for (const [i, x] of original.entries()) expect(Math.abs(reals[i]! - x)).toBeLessThan(0.05);
});
