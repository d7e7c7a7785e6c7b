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
import { operatorNetwork, pairNetwork, pixelNetwork, s8s8, sparseNetwork, u8s8, u8u8 } from "./networks.ts";

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
