import { expect, test } from "vitest";
import type { Graph, Tensor } from "../../src/graph/types.ts";
import { float32, graphOf, node, randomTensor } from "../graph/build.ts";
import { errorsOf } from "./run.ts";

interface Row {
  readonly name: string;
  readonly graph: Graph;
  readonly steps?: number;
  readonly kernels?: readonly string[];
}

const image = { x: ["N", 6, 4, 5] };
const two = { a: ["N", 6, 4, 5], b: ["N", 6, 4, 5] };
const scalar = (value: number): Tensor => float32([], [value]);

/** One function of x between two values with codes of their own. */
const pointwise = (text: string, attributes: Parameters<typeof node>[1] = {}, constants: Record<string, Tensor> = {}): Graph =>
  graphOf(image, [node(text, attributes)], constants);

const lookup = ["lookup"];
const rows: Row[] = [
  { name: "Add", graph: graphOf(two, [node("y = Add(a, b)")]), kernels: ["add"] },
  { name: "Sub", graph: graphOf(two, [node("y = Sub(a, b)")]), kernels: ["add"] },
  { name: "Mul", graph: graphOf(two, [node("y = Mul(a, b)")]), kernels: ["mul"] },
  { name: "Add and Relu", graph: graphOf(two, [node("s = Add(a, b)"), node("y = Relu(s)")]), kernels: ["add"] },
  {
    name: "Mul and Clip",
    graph: graphOf(two, [node("s = Mul(a, b)"), node("y = Clip(s, lo, hi)")], { lo: scalar(-0.2), hi: scalar(0.7) }),
    steps: 4,
    kernels: ["mul"],
  },
  { name: "x·x", graph: pointwise("y = Mul(x, x)"), kernels: lookup },
  {
    name: "Add of a value per channel",
    graph: graphOf({ a: ["N", 6, 4, 5], b: ["N", 6, 1, 1] }, [node("y = Add(b, a)")]),
    kernels: ["add"],
  },
  { name: "Mul by one number", graph: graphOf({ a: ["N", 6, 4, 5], b: ["N", 1, 1, 1] }, [node("y = Mul(a, b)")]), kernels: ["mul"] },
  {
    name: "Sub of a value per channel",
    graph: graphOf({ a: ["N", 6, 4, 5], b: ["N", 6, 1, 1] }, [node("y = Sub(a, b)")]),
    kernels: ["add"],
  },
  {
    name: "Sub from a value per channel",
    graph: graphOf({ a: ["N", 6, 4, 5], b: ["N", 6, 1, 1] }, [node("y = Sub(b, a)")]),
    kernels: ["add"],
  },
  {
    name: "rows of features",
    graph: graphOf({ a: ["N", 7, 12], b: ["N", 7, 12] }, [node("s = Add(a, b)"), node("y = Mul(s, a)")]),
    kernels: ["add", "mul"],
  },
  {
    name: "a gate of squeeze and excitation",
    graph: graphOf(
      image,
      [
        node("p = GlobalAveragePool(x)"),
        node("c = Conv(p, w1, b1)"),
        node("r = Relu(c)"),
        node("d = Conv(r, w2, b2)"),
        node("g = HardSigmoid(d)", { alpha: 1 / 6, beta: 0.5 }),
        node("y = Mul(g, x)"),
      ],
      { w1: randomTensor([3, 6, 1, 1], 1), b1: randomTensor([3], 2), w2: randomTensor([6, 3, 1, 1], 3), b2: randomTensor([6], 4) },
    ),
    kernels: ["avgpool", "conv", "conv", "lookup", "mul"],
  },
  { name: "Relu alone", graph: pointwise("y = Relu(x)"), kernels: lookup },
  { name: "Clip alone", graph: pointwise("y = Clip(x, lo, hi)", {}, { lo: scalar(-0.3), hi: scalar(0.5) }), kernels: lookup },
  { name: "Sigmoid", graph: pointwise("y = Sigmoid(x)"), kernels: lookup },
  { name: "Tanh", graph: pointwise("y = Tanh(x)"), kernels: lookup },
  { name: "HardSigmoid", graph: pointwise("y = HardSigmoid(x)", { alpha: 0.25, beta: 0.5 }), kernels: lookup },
  { name: "HardSwish", graph: pointwise("y = HardSwish(x)"), kernels: lookup },
  {
    name: "HardSwish as x · Clip(x + 3, 0, 6) / 6",
    graph: graphOf(image, [node("a = Add(x, three)"), node("c = Clip(a, zero, six)"), node("m = Mul(x, c)"), node("y = Div(m, six)")], {
      three: scalar(3),
      zero: scalar(0),
      six: scalar(6),
    }),
    kernels: lookup,
  },
  { name: "SiLU as x · Sigmoid(x)", graph: graphOf(image, [node("s = Sigmoid(x)"), node("y = Mul(x, s)")]), kernels: lookup },
  {
    name: "Mish as x · Tanh(Softplus(x))",
    graph: graphOf(image, [node("s = Softplus(x)"), node("t = Tanh(s)"), node("y = Mul(t, x)")]),
    kernels: lookup,
  },
  { name: "Gelu", graph: pointwise("y = Gelu(x)"), kernels: lookup },
  { name: "Gelu by tanh", graph: pointwise("y = Gelu(x)", { approximate: "tanh" }), kernels: lookup },
  {
    name: "Gelu by Erf",
    graph: graphOf(
      image,
      [node("d = Div(x, r)"), node("e = Erf(d)"), node("a = Add(e, one)"), node("m = Mul(x, a)"), node("y = Mul(m, half)")],
      {
        r: scalar(Math.SQRT2),
        one: scalar(1),
        half: scalar(0.5),
      },
    ),
    kernels: lookup,
  },
  { name: "LeakyRelu", graph: pointwise("y = LeakyRelu(x)", { alpha: 0.1 }), kernels: lookup },
  { name: "Elu", graph: pointwise("y = Elu(x)", { alpha: 1 }), kernels: lookup },
  { name: "PRelu per channel", graph: pointwise("y = PRelu(x, s)", {}, { s: randomTensor([6, 1, 1], 4) }), kernels: lookup },
  { name: "PRelu with one slope", graph: pointwise("y = PRelu(x, s)", {}, { s: float32([1], [0.3]) }), kernels: lookup },
  {
    name: "constants per channel",
    graph: graphOf(image, [node("m = Mul(x, s)"), node("a = Add(m, b)"), node("y = Relu(a)")], {
      s: randomTensor([1, 6, 1, 1], 4),
      b: randomTensor([6, 1, 1], 5),
    }),
    kernels: lookup,
  },
  {
    name: "constants per feature",
    graph: graphOf({ x: ["N", 7, 12] }, [node("m = Mul(x, s)"), node("y = Add(m, b)")], {
      s: randomTensor([12], 4),
      b: randomTensor([1, 12], 5),
    }),
    kernels: lookup,
  },
  {
    name: "constants per feature of one row",
    graph: graphOf({ x: ["N", 12] }, [node("m = Mul(x, s)"), node("y = Add(b, m)")], {
      s: randomTensor([12], 4),
      b: randomTensor([1, 12], 5),
    }),
    kernels: lookup,
  },
  { name: "Abs, Neg, Exp", graph: graphOf(image, [node("a = Abs(x)"), node("n = Neg(a)"), node("y = Exp(n)")]), kernels: lookup },
  { name: "Sqrt of Max", graph: graphOf(image, [node("m = Max(x, c)"), node("y = Sqrt(m)")], { c: scalar(0.2) }), kernels: lookup },
  {
    name: "Reciprocal",
    graph: graphOf(image, [node("e = Exp(x)"), node("p = Add(e, c)"), node("y = Reciprocal(p)")], { c: scalar(1) }),
    kernels: lookup,
  },
  {
    name: "Min, Sub, Div, Pow",
    graph: graphOf(image, [node("m = Min(x, c)"), node("s = Sub(c, m)"), node("d = Div(s, three)"), node("y = Pow(d, three)")], {
      c: scalar(1),
      three: scalar(3),
    }),
    kernels: lookup,
    steps: 6,
  },
  {
    name: "a function read where it is made and inside",
    graph: graphOf(image, [node("s = Sigmoid(x)"), node("y = Mul(s, x)")], {}, ["s", "y"]),
    kernels: ["lookup", "lookup"],
  },
  {
    name: "an unfused BatchNormalization with a negative and a zero factor",
    graph: graphOf(image, [node("y = BatchNormalization(x, g, b, m, v)"), node("z = Relu(y)")], {
      g: float32([6], [1, -0.5, 0, 2, 0.1, 1]),
      b: randomTensor([6], 1),
      m: randomTensor([6], 2),
      v: randomTensor([6], 3, 1.5),
    }),
    kernels: ["conv"],
  },
  // Probabilities of many classes are small, but their step is always 1/256.
  { name: "Softmax of a row", graph: graphOf({ x: ["N", 12] }, [node("y = Softmax(x)")]), kernels: ["softmax"] },
  { name: "Softmax of rows", graph: graphOf({ x: ["N", 5, 12] }, [node("y = Softmax(x)")]), kernels: ["softmax"], steps: 6 },
  { name: "Softmax over channels", graph: graphOf(image, [node("y = Softmax(x)", { axis: 1 })]), kernels: ["softmax"] },
  {
    name: "Softmax over the width of an image",
    graph: graphOf(image, [node("y = Softmax(x)", { axis: 3 })]),
    kernels: ["copy", "softmax", "copy"],
  },
  {
    name: "Softmax over columns",
    graph: graphOf({ x: ["N", 5, 12] }, [node("y = Softmax(x)", { axis: 1 })]),
    kernels: ["copy", "softmax", "copy"],
  },
  {
    name: "logits and Softmax, both outputs",
    graph: graphOf({ x: ["N", 12] }, [node("l = Gemm(x, w)"), node("y = Softmax(l)")], { w: randomTensor([12, 5], 3) }, ["l", "y"]),
    kernels: ["conv", "softmax"],
  },
];

test.for(rows)("$name: session, interpreter and floats agree", async ({ graph, steps = 3, kernels }) => {
  const { wide, codes, qdq, plan } = await errorsOf(graph);
  if (kernels) expect(plan.steps.map(({ kernel }) => kernel)).toEqual(kernels);
  expect(wide).toBeLessThan(steps);
  expect(codes).toBeLessThan(steps);
  expect(qdq).toBeLessThan(1.01);
});
