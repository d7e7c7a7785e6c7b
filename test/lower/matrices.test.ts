// What transformers add: products of activations, layer normalization, constants as large as an activation.
import { expect, test } from "vitest";
import type { Graph } from "../../src/graph/types.ts";
import { lower } from "../../src/lower/lower.ts";
import type { MatmulStep } from "../../src/plan/types.ts";
import { createSession } from "../../src/runtime/index.ts";
import { float32, graphOf, int64s, node, randomTensor } from "../graph/build.ts";
import { integerModule } from "../runtime/kernels.ts";
import { errorsOf, quantizeGraph, samplesOf } from "./run.ts";

const w = (...dims: number[]) => randomTensor(dims, dims.length + dims[0]!);
const near = (...dims: number[]) => randomTensor(dims, dims[0]!, 1);

interface Row {
  readonly name: string;
  readonly graph: Graph;
  readonly kernels: readonly string[];
  /** Error that is allowed, in 255ths of the output's range. */
  readonly steps?: number;
}

const heads = (text: string, from: string): ReturnType<typeof node>[] => [
  node(`${text}s = Reshape(${from}, split)`),
  node(`${text}h = Transpose(${text}s)`, { perm: text === "k" ? [0, 2, 3, 1] : [0, 2, 1, 3] }),
];

const attention = graphOf(
  { x: ["N", 10, 12] },
  [
    node("n = LayerNormalization(x, g, o)", { axis: -1 }),
    node("q = MatMul(n, wq)"),
    node("k = MatMul(n, wk)"),
    node("v = MatMul(n, wv)"),
    ...heads("q", "q"),
    ...heads("k", "k"),
    ...heads("v", "v"),
    node("s = MatMul(qh, kh)"),
    node("c = Mul(s, half)"),
    node("p = Softmax(c)", { axis: -1 }),
    node("a = MatMul(p, vh)"),
    node("t = Transpose(a)", { perm: [0, 2, 1, 3] }),
    node("f = Reshape(t, join)"),
    node("m = MatMul(f, wo)"),
    node("y = Add(m, x)"),
  ],
  {
    g: near(12),
    o: w(12),
    wq: w(12, 12),
    wk: w(12, 12),
    wv: w(12, 12),
    wo: w(12, 12),
    half: float32([], [0.3]),
    split: int64s([0, 10, 3, 4]),
    join: int64s([0, 10, 12]),
  },
);

const rows: Row[] = [
  {
    name: "a product of two inputs",
    graph: graphOf({ a: ["N", 5, 7], b: ["N", 7, 9] }, [node("y = MatMul(a, b)")]),
    kernels: ["matmul"],
  },
  {
    name: "products of three heads each",
    graph: graphOf({ a: ["N", 3, 5, 7], b: ["N", 3, 7, 2] }, [node("y = MatMul(a, b)")]),
    kernels: ["matmul"],
  },
  {
    name: "a constant on the left",
    graph: graphOf({ b: ["N", 7, 9] }, [node("y = MatMul(a, b)")], { a: w(1, 5, 7) }),
    kernels: ["constant", "matmul"],
  },
  {
    name: "layer normalization of rows",
    graph: graphOf({ x: ["N", 5, 40] }, [node("y = LayerNormalization(x, g, o)", { axis: -1, epsilon: 1e-3 })], { g: near(40), o: w(40) }),
    kernels: ["layernorm"],
  },
  {
    name: "layer normalization of an image's columns",
    graph: graphOf({ x: ["N", 3, 5, 40] }, [node("y = LayerNormalization(x, g)", { axis: 3, epsilon: 1e-3 })], { g: near(40) }),
    kernels: ["copy", "layernorm"],
  },
  {
    name: "position embeddings",
    graph: graphOf({ x: ["N", 5, 12] }, [node("y = Add(x, p)")], { p: w(1, 5, 12) }),
    kernels: ["constant", "add"],
  },
  {
    name: "a constant less an image",
    graph: graphOf({ x: ["N", 3, 4, 5] }, [node("y = Sub(p, x)")], { p: w(1, 3, 4, 5) }),
    kernels: ["constant", "add"],
  },
  {
    name: "a mask times an image",
    graph: graphOf({ x: ["N", 3, 4, 5] }, [node("y = Mul(x, p)")], { p: w(3, 4, 5) }),
    kernels: ["constant", "mul"],
  },
  {
    name: "a class token before the others",
    graph: graphOf({ x: ["N", 5, 12] }, [node("y = Concat(t, x)", { axis: 1 })], { t: w(1, 1, 12) }),
    kernels: ["constant", "copy"],
  },
  {
    name: "a dense layer on the columns of an image",
    graph: graphOf({ x: ["N", 3, 4, 9] }, [node("y = MatMul(x, w)")], { w: w(9, 5) }),
    kernels: ["copy", "conv"],
  },
  { name: "attention", graph: attention, kernels: ["layernorm", "matmul", "softmax", "conv"], steps: 8 },
];

test.for(rows)("$name: session, interpreter and floats agree", async ({ graph, kernels, steps = 3 }) => {
  const { wide, codes, plan } = await errorsOf(graph);
  expect(wide).toBeLessThan(steps);
  expect(codes).toBeLessThan(steps);
  const found = new Set<string>(plan.steps.map(({ kernel }) => kernel));
  for (const kernel of kernels) expect(found).toContain(kernel);
});

test("both ends of a product's interval are attained by codes of the factors", async () => {
  const graph = graphOf({ a: ["N", 2, 5], b: ["N", 5, 3] }, [node("y = MatMul(a, b)")]);
  const plan = lower(await quantizeGraph(graph, samplesOf(graph, 3)));
  const step = plan.steps[0] as MatmulStep;
  const [za, zb] = step.inputs.map((index) => plan.values[index]!.zeroPoint) as [number, number];
  const ends = [-128, 127];
  const sums = ends.flatMap((p) => ends.map((q) => 5 * (p - za) * (q - zb)));
  expect(step.accumulator).toEqual([Math.min(...sums), Math.max(...sums)]);
  // Every code of a factor can occur: the four corners, through the session.
  using session = await createSession(plan, { wasm: await integerModule() });
  const answers = ends.flatMap((p) =>
    ends.map((q) => session.run({ a: new Int8Array(10).fill(p), b: new Int8Array(15).fill(q) }).y!.codes[0]!),
  );
  expect(Math.max(...answers) - Math.min(...answers)).toBeGreaterThan(100);
});

test.for([
  [
    "factors of other sizes",
    graphOf({ a: ["N", 2, 3, 5], b: ["N", 1, 5, 3] }, [node("y = MatMul(a, b)")]),
    /factors of \[2, 3, 5\] and \[1, 5, 3\]/,
  ],
  [
    "a normalization of two axes",
    graphOf({ x: ["N", 5, 4] }, [node("y = LayerNormalization(x, g)", { axis: 1 })], { g: near(5, 4) }),
    /axis 1 of 3/,
  ],
] as const)("%s: refused by name", async ([, graph, message]) => {
  const quantized = await quantizeGraph(graph, samplesOf(graph, 2));
  expect(() => lower(quantized)).toThrow(message);
});
