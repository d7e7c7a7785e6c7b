// Whole graphs in the style of ONNX Runtime's quantization tool: every code of the program against the references of the file's own
// operators, and against ONNX Runtime where it is installed.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import type { Graph, Tensor } from "../../src/graph/types.ts";
import { lower } from "../../src/lower/lower.ts";
import { readQuantized } from "../../src/onnx/quantized.ts";
import { readModel } from "../../src/onnx/read.ts";
import { writeModel } from "../../src/onnx/write.ts";
import { writePlan } from "../../src/plan/writer.ts";
import { createSession } from "../../src/runtime/index.ts";
import { randomTensor } from "../graph/build.ts";
import { integerModule } from "../runtime/kernels.ts";
import { Foreign, type Style } from "./foreign.ts";

const u8s8: Style = { activations: "uint8", weights: "int8", perChannel: true };
const s8s8: Style = { activations: "int8", weights: "int8", perChannel: false };
const u8u8: Style = { activations: "uint8", weights: "uint8", perChannel: false };

/** A zero point of the style in the place of an unsigned one. */
const zero = (style: Style, unsigned: number): number => (style.activations === "uint8" ? unsigned : unsigned - 128);
const threes = { pads: [1, 1, 1, 1], kernel_shape: [3, 3] };

/** QOperator format: residual, pool and reshape on codes, concatenation of two scales, global average, fully connected. */
function operatorNetwork(style: Style): Graph {
  const g = new Foreign(style, 3);
  const z = (unsigned: number): number => zero(style, unsigned);
  g.add(`x_q = QuantizeLinear(x, ${g.encode("x", { scale: 0.0173, zero: z(121) })})`);
  g.qlinearConv("a", "x", [16, 3, 3, 3], { scale: 0.0091, zero: z(0) }, threes);
  g.qlinearConv("b", "a", [16, 1, 3, 3], { scale: 0.0107, zero: z(130) }, { ...threes, group: 16 });
  g.qlinearConv("c", "b", [16, 16, 3, 3], { scale: 0.0113, zero: z(127) }, threes);
  g.add(`s_q = QLinearAdd(${g.triple("c")}, ${g.triple("a")}, ${g.encode("s", { scale: 0.0151, zero: z(99) })})`);
  g.alias("p", "s");
  g.add("p_q = MaxPool(s_q)", { kernel_shape: [2, 2], strides: [2, 2] });
  g.qlinearConv("d", "p", [8, 16, 1, 1], { scale: 0.0119, zero: z(118) }, { kernel_shape: [1, 1] });
  g.add(`l_q = QLinearLeakyRelu(${g.triple("d")}, ${g.encode("l", { scale: 0.0087, zero: z(20) })})`, { alpha: 0.125 });
  g.add(`k_q = QLinearConcat(${g.encode("k", { scale: 0.0161, zero: z(90) })}, ${g.triple("p")}, ${g.triple("l")})`, { axis: 1 });
  g.add(`m_q = QLinearGlobalAveragePool(${g.triple("k")}, ${g.encode("m", { scale: 0.0059, zero: z(101) })})`, { channels_last: 0 });
  g.alias("f", "m");
  g.add("f_q = Flatten(m_q)", { axis: 1 });
  const weights = g.weights("w", [10, 24], 0, 24);
  g.bias("y_b", "w", "f", 10);
  g.add(`y_q = QGemm(${g.triple("f")}, ${weights}, y_b_q, ${g.encode("y", { scale: 0.0093, zero: z(128) })})`, { alpha: 1, transB: 1 });
  g.add(`y = DequantizeLinear(y_q, y_scale, y_zero)`);
  return g.graph({ x: [1, 3, 8, 8] }, ["y"]);
}

/** QDQ format: explicit and omitted ReLU, SiLU in three pieces, pools, linear sums, a classifier that ends in float. */
function pairNetwork(style: Style): Graph {
  const g = new Foreign(style, 5);
  const z = (unsigned: number): number => zero(style, unsigned);
  g.pair("x", { scale: 0.0171, zero: z(119) });
  g.convQdq("a", "x", [16, 3, 3, 3], { ...threes, strides: [2, 2] });
  g.pair("a", { scale: 0.0123, zero: z(125) });
  g.add("r = Relu(a_d)");
  g.pair("r", { scale: 0.0061, zero: z(0) });
  g.convQdq("b", "r", [16, 16, 3, 3], threes);
  g.add("br = Relu(b)");
  g.pair("br", { scale: 0.0067, zero: z(0) });
  g.add("sig = Sigmoid(br_d)");
  g.pair("sig", { scale: 1 / 256, zero: z(0) });
  g.add("silu = Mul(br_d, sig_d)");
  g.pair("silu", { scale: 0.0059, zero: z(10) });
  g.add("sum = Add(silu_d, r_d)");
  g.pair("sum", { scale: 0.0103, zero: z(7) });
  g.add("mp = MaxPool(sum_d)", { kernel_shape: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] });
  g.pair("mp", { scale: 0.0103, zero: z(7) });
  g.add("ap = AveragePool(mp_d)", { kernel_shape: [2, 2], strides: [2, 2] });
  g.pair("ap", { scale: 0.0083, zero: z(3) });
  g.integers("shape", [1, -1]);
  g.add("flat = Reshape(ap_d, shape)");
  g.pair("flat", { scale: 0.0083, zero: z(3) });
  g.add(`w_d = DequantizeLinear(${g.weights("w", [64, 10], 1, 64)})`, { axis: 1 });
  g.add("y = MatMul(flat_d, w_d)");
  return g.graph({ x: [1, 3, 8, 8] }, ["y"]);
}

/** Quantizers before convolutions only: ReLU, pools and reshapes between them have none of their own, the sum takes a convolution as it is. */
function sparseNetwork(style: Style): Graph {
  const g = new Foreign(style, 7);
  const z = (unsigned: number): number => zero(style, unsigned);
  g.pair("x", { scale: 0.0169, zero: z(128) });
  g.convQdq("a", "x", [8, 3, 3, 3], threes);
  g.add("ar = Relu(a)");
  g.add("p = MaxPool(ar)", { kernel_shape: [2, 2], strides: [2, 2] });
  g.pair("p", { scale: 0.0071, zero: z(128) });
  g.convQdq("b", "p", [8, 8, 3, 3], threes);
  g.add("s = Add(b, p_d)");
  g.add("sr = Relu(s)");
  g.pair("sr", { scale: 0.0109, zero: z(128) });
  g.add("t = Transpose(sr_d)", { perm: [0, 2, 3, 1] });
  g.integers("shape", [1, 128]);
  g.add("flat = Reshape(t, shape)");
  g.add(`w_d = DequantizeLinear(${g.weights("w", [10, 128], 0, 128)})`, { axis: 0 });
  g.add("y = Gemm(flat, w_d)", { transB: 1 });
  g.pair("y", { scale: 0.013, zero: z(128) });
  return g.graph({ x: [1, 3, 8, 8] }, ["y_d"]);
}

/** Bytes in, arithmetic on them in the graph, softmax out. */
function pixelNetwork(style: Style): Graph {
  const g = new Foreign(style, 9);
  const z = (unsigned: number): number => zero(style, unsigned);
  g.add("f32 = Cast(x)", { to: 1 });
  g.scalar("mean", 120);
  g.scalar("std", 64);
  g.add("c = Sub(f32, mean)");
  g.add("n = Div(c, std)");
  g.pair("n", { scale: 0.0165, zero: z(128) });
  g.convQdq("a", "n", [8, 3, 3, 3], { ...threes, strides: [2, 2] });
  g.pair("a", { scale: 0.0123, zero: z(125) });
  g.add("m = GlobalAveragePool(a_d)");
  g.pair("m", { scale: 0.0041, zero: z(120) });
  g.add("f = Flatten(m_d)", { axis: 1 });
  g.pair("f", { scale: 0.0041, zero: z(120) });
  g.add("y = Softmax(f_d)", { axis: -1 });
  g.pair("y", { scale: 1 / 256, zero: z(0) });
  return g.graph({ x: [1, 3, 8, 8] }, ["y_d"], "uint8");
}

/** `rounded`: results so near the middle between two codes that float32 decides otherwise than exact arithmetic. */
const networks: readonly { name: string; graph: Graph; rounded: number; optimization?: string }[] = [
  { name: "operators on codes, uint8 and int8 per channel", graph: operatorNetwork(u8s8), rounded: 1 },
  { name: "operators on codes, int8 and int8 per tensor", graph: operatorNetwork(s8s8), rounded: 0 },
  { name: "operators on codes, uint8 and uint8", graph: operatorNetwork(u8u8), rounded: 0 },
  { name: "pairs, uint8 and int8 per channel", graph: pairNetwork(u8s8), rounded: 0 },
  { name: "pairs, int8 and int8 per tensor", graph: pairNetwork(s8s8), rounded: 0 },
  { name: "pairs, uint8 and uint8", graph: pairNetwork(u8u8), rounded: 0 },
  // ONNX Runtime's optimizer gives a Transpose between int8 pairs a uint8 zero point, and then refuses its own graph.
  { name: "pairs before convolutions only, int8", graph: sparseNetwork(s8s8), rounded: 0, optimization: "disabled" },
  { name: "pairs before convolutions only, uint8", graph: sparseNetwork(u8s8), rounded: 0 },
  { name: "pixels to softmax", graph: pixelNetwork(u8s8), rounded: 0 },
];

interface Difference {
  /** Codes compared. */
  readonly codes: number;
  /** Those that differ though everything before them is equal. */
  readonly different: number;
  readonly most: number;
}

type Runner = (feeds: ReadonlyMap<string, Tensor>, values: readonly string[]) => Promise<ReadonlyMap<string, Tensor>>;

/** Codes of every value that the file's graph has as codes too, over some samples; each up to the first value that differs. */
async function compare(graph: Graph, run: Runner, samples = 6): Promise<Difference> {
  const file = readModel(writeModel(graph));
  const quantized = readQuantized(file, { source: "test", sourceHash: "", options: {}, seed: 0 });
  using session = await createSession(await writePlan(lower(quantized)), { wasm: await integerModule() });
  const codesOf = (name: string): string => (file.facts.has(`${name}_q`) ? `${name}_q` : name.replace(/_d$/, "_q"));
  let [codes, different, most] = [0, 0, 0];
  for (let i = 0; i < samples; i++) {
    const feeds = new Map(file.inputs.map((name) => [name, inputOf(file.facts.get(name)!.dtype, 100 + i)]));
    const written = new Map<string, Int8Array>();
    session.trace(Object.fromEntries([...feeds].map(([name, x]) => [name, asInput(x)])), (_, value) => {
      const key = codesOf(value.name);
      if (value.codes instanceof Int8Array && file.facts.get(key)?.dtype.endsWith("int8")) written.set(key, value.codes);
    });
    expect(written.size).toBeGreaterThan(2);
    const expected = await run(feeds, [...written.keys()]);
    for (const [key, got] of written) {
      const { dtype, data } = expected.get(key)!;
      const shift = dtype === "uint8" ? 128 : 0;
      expect(data.length).toBe(got.length);
      const distances = Array.from(got, (code, k) => Math.abs(code + shift - Number(data[k])));
      codes += got.length;
      different += distances.filter((distance) => distance > 0).length;
      most = Math.max(most, ...distances);
      if (distances.some((distance) => distance > 0)) break;
    }
  }
  return { codes, different, most };
}

/** Random reals, or random bytes. */
function inputOf(dtype: string, seed: number): Tensor {
  const reals = randomTensor([1, 3, 8, 8], seed);
  if (dtype === "float32") return reals;
  return { dtype: "uint8", dims: reals.dims, data: Uint8Array.from(reals.data as Float32Array, (x) => Math.floor(128 + 128 * x)) };
}

/** Codes of a program are signed. */
const asInput = ({ data }: Tensor): Float32Array | Int8Array =>
  data instanceof Uint8Array ? Int8Array.from(data, (code) => code - 128) : (data as Float32Array);

test.for(networks)("$name: every code is that of the file's operators", async ({ graph, rounded }) => {
  const found = await compare(graph, async (feeds, values) => evaluateReference(graph, feeds, values));
  expect(found).toEqual({ codes: found.codes, different: rounded, most: Math.sign(rounded) });
  expect(found.codes).toBeGreaterThan(1000);
});

interface Runtime {
  readonly InferenceSession: {
    create(
      model: Uint8Array,
      options: object,
    ): Promise<{ run(feeds: object, fetches?: readonly string[]): Promise<Record<string, { data: Tensor["data"] }>> }>;
  };
  readonly Tensor: new (type: string, data: Tensor["data"], dims: readonly number[]) => object;
}

const peers = fileURLToPath(new URL("../bench/peers/package.json", import.meta.url));

/** ONNX Runtime, where somebody has installed the peers of the benchmarks. */
function onnxRuntime(): Runtime | undefined {
  if (!existsSync(new URL("node_modules/onnxruntime-node", `file://${peers}`))) return undefined;
  return createRequire(peers)("onnxruntime-node") as Runtime;
}

const runtime = onnxRuntime();

test.skipIf(!runtime).for(networks)("$name: every code is ONNX Runtime's", async ({ graph, optimization = "all" }) => {
  const { InferenceSession, Tensor: OrtTensor } = runtime!;
  const found = await compare(graph, async (feeds, values) => {
    const outputs = [...new Set([...graph.outputs, ...values])];
    const bytes = writeModel({ ...graph, outputs });
    const session = await InferenceSession.create(bytes, {
      graphOptimizationLevel: optimization,
      intraOpNumThreads: 1,
      logSeverityLevel: 3,
    });
    const inputs = Object.fromEntries([...feeds].map(([name, { dtype, data, dims }]) => [name, new OrtTensor(dtype, data, dims)]));
    const found = await session.run(inputs, values);
    return new Map(values.map((name) => [name, { ...graph.facts.get(name)!, dims: [], data: found[name]!.data }]));
  });
  // Its fused operators compute in float32: of 10 000 codes one may be the neighbour.
  expect(found.different).toBeLessThanOrEqual(found.codes / 10_000);
  expect(found.most).toBeLessThanOrEqual(1);
});
