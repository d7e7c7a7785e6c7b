// Functions of one element. Floats are computed in float64 and rounded once; integers exactly.
import { isFloat } from "../graph/tensors.ts";
import type { GraphNode } from "../graph/types.ts";
import { asNumbers, fill, fillIntegers, integers } from "./dtypes.ts";
import { erf, erfc, exp, expm1, log, sigmoid, softplus, tanh } from "./math.ts";
import type { Operator } from "./operator.ts";
import { roundEven } from "./rounding.ts";
import { fact, mustBeFloat, number, place, required, text } from "./shape.ts";
import { assert, HalftoneError } from "../errors.ts";

export interface UnaryRow {
  readonly op: string;
  /** The function with the node's attributes bound. */
  real(node: GraphNode): (x: number) => number;
  /** On integer tensors; absent where ONNX has none. */
  readonly integer?: (x: bigint) => bigint;
}

const plain = (f: (x: number) => number) => (): ((x: number) => number) => f;

/** An attribute stored as float32, so that a default and a written value agree. */
const real = (node: GraphNode, key: string, otherwise: number): number => Math.fround(number(node, key, otherwise));

const clamp01 = (x: number): number => Math.max(0, Math.min(1, x));

/** x Φ(x), Φ the normal distribution: ½ erfc(−x/√2) keeps the tail that 1 + erf would cancel. */
const geluExact = (x: number): number => (x === -Infinity ? -0 : 0.5 * x * erfc(-x * Math.SQRT1_2));

/** ½x (1 + tanh(√(2/π)(x + 0.044715 x³))) = x · sigmoid(2√(2/π)(…)). */
const geluTanh = (x: number): number => (x === -Infinity ? -0 : x * sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x)));

function gelu(node: GraphNode): (x: number) => number {
  const approximate = text(node, "approximate", "none");
  if (approximate === "none") return geluExact;
  if (approximate === "tanh") return geluTanh;
  throw new HalftoneError("ONNX_UNSUPPORTED_OP", place(node), `approximate '${approximate}'`, "'none' or 'tanh'");
}

const SELU_ALPHA = 1.6732631921768188;
const SELU_GAMMA = 1.0507010221481323;

/** One row per operator; the formulas are those of the ONNX operator pages. */
export const unaryRows: readonly UnaryRow[] = [
  { op: "Abs", real: plain(Math.abs), integer: (x) => (x < 0n ? -x : x) },
  { op: "Neg", real: plain((x) => -x), integer: (x) => -x },
  { op: "Sign", real: plain(Math.sign), integer: (x) => (x > 0n ? 1n : x < 0n ? -1n : 0n) },
  { op: "Floor", real: plain(Math.floor) },
  { op: "Ceil", real: plain(Math.ceil) },
  { op: "Round", real: plain(roundEven) },
  { op: "Reciprocal", real: plain((x) => 1 / x) },
  { op: "Sqrt", real: plain(Math.sqrt) },
  { op: "Exp", real: plain(exp) },
  { op: "Log", real: plain(log) },
  { op: "Erf", real: plain(erf) },
  { op: "Tanh", real: plain(tanh) },
  { op: "Sigmoid", real: plain(sigmoid) },
  { op: "Softplus", real: plain(softplus) },
  { op: "Softsign", real: plain((x) => x / (1 + Math.abs(x))) },
  { op: "Mish", real: plain((x) => x * tanh(softplus(x))) },
  { op: "HardSwish", real: plain((x) => x * clamp01(x / 6 + 0.5)) },
  { op: "Gelu", real: gelu },
  // max(0, NaN) is NaN, as in NumPy.
  { op: "Relu", real: plain((x) => Math.max(0, x)), integer: (x) => (x > 0n ? x : 0n) },
  {
    op: "Swish",
    real(node) {
      const alpha = real(node, "alpha", 1);
      return (x) => x * sigmoid(alpha * x);
    },
  },
  {
    op: "LeakyRelu",
    real(node) {
      const alpha = real(node, "alpha", 0.01);
      return (x) => (x < 0 ? alpha * x : x);
    },
  },
  {
    op: "ThresholdedRelu",
    real(node) {
      const alpha = real(node, "alpha", 1);
      return (x) => (x <= alpha ? 0 : x);
    },
  },
  {
    op: "Elu",
    real(node) {
      const alpha = real(node, "alpha", 1);
      return (x) => (x < 0 ? alpha * expm1(x) : x);
    },
  },
  {
    op: "Celu",
    real(node) {
      const alpha = real(node, "alpha", 1);
      return (x) => (x < 0 ? alpha * expm1(x / alpha) : x);
    },
  },
  {
    op: "Selu",
    real(node) {
      const alpha = real(node, "alpha", SELU_ALPHA);
      const gamma = real(node, "gamma", SELU_GAMMA);
      return (x) => gamma * (x < 0 ? alpha * expm1(x) : x);
    },
  },
  {
    op: "HardSigmoid",
    real(node) {
      const alpha = real(node, "alpha", 0.2);
      const beta = real(node, "beta", 0.5);
      return (x) => clamp01(alpha * x + beta);
    },
  },
];

function unary(row: UnaryRow): Operator {
  return {
    op: row.op,
    arity: [1, 1],
    infer(node, inputs) {
      const x = required(node, inputs, 0);
      if (!row.integer) mustBeFloat(node, x);
      if (isFloat(x.dtype)) row.real(node); // refuses attributes that it does not know
      return [fact(x.dtype, x.dims)];
    },
    reference(node, inputs) {
      const x = required(node, inputs, 0);
      if (isFloat(x.dtype)) {
        const f = row.real(node);
        const data = asNumbers(x);
        return [fill(x.dtype, x.dims, (i) => f(data[i]!))];
      }
      const f = row.integer;
      assert(f, "inference refuses integers where there is no meaning");
      const read = integers(x);
      return [fillIntegers(x.dtype, x.dims, (i) => f(read(i)))];
    },
  };
}

export const elementwiseOperators: readonly Operator[] = unaryRows.map(unary);
