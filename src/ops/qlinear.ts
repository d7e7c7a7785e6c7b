// Operators on codes that mean a float operator between DequantizeLinear and QuantizeLinear: ONNX's QLinear operators and ONNX Runtime's
// own (domain com.microsoft, docs/ContribOperators.md of microsoft/onnxruntime). One row says which float operator, and where codes,
// scales and zero points stand among the inputs.
import { assert, HalftoneError } from "../errors.ts";
import type { Attribute, Fact, GraphNode, Tensor } from "../graph/types.ts";
import { arithmeticOperators } from "./arithmetic.ts";
import { concatOperators } from "./concat.ts";
import { elementwiseOperators } from "./elementwise.ts";
import { matmulOperators } from "./matmul.ts";
import type { Operator } from "./operator.ts";
import { poolOperators } from "./pool.ts";
import { quantizeOperators } from "./quantize.ts";
import { reduceOperators } from "./reduce.ts";
import { integer, mismatch, place, required } from "./shape.ts";

/** How an operator on codes is spelled with a float operator. Positions are those of inputs. */
export interface QLinearForm {
  /** The float operator. */
  readonly op: string;
  /** Each stands for three inputs: codes, scale, zero point. */
  readonly codes: (node: GraphNode) => readonly number[];
  /** Scale of the output, the zero point behind it; an absent one leaves the output in float. */
  readonly output: number;
  /** int32 codes of scale x·w. */
  readonly bias?: number;
  /** Axis of the weights' scales, when there is one per output channel. */
  readonly axis?: (node: GraphNode) => number;
  /** Attributes of the float operator; those of the node by default. */
  readonly attributes?: (node: GraphNode) => Readonly<Record<string, Attribute>>;
}

const one = (): readonly number[] => [0];
const two = (): readonly number[] => [0, 3];

function channelsFirst(node: GraphNode): Readonly<Record<string, Attribute>> {
  if (integer(node, "channels_last", 0) !== 0) throw mismatch(node, "channels_last 1", "channels in front: 0");
  const { channels_last: _, ...attributes } = node.attributes;
  return attributes;
}

/** Before opset 13 a softmax ran over all axes from `axis` on: the same as today's for the last one. */
function softmaxAxis(node: GraphNode): Readonly<Record<string, Attribute>> {
  const axis = integer(node, "axis", -1);
  if (integer(node, "opset", 13) < 13 && axis !== -1)
    throw mismatch(node, `axis ${axis} in the sense of opset ${integer(node, "opset", 13)}`, "axis −1, or opset 13 and later");
  return { axis };
}

/** By name of the operator. */
export const qlinearForms: Readonly<Record<string, QLinearForm>> = {
  QLinearConv: { op: "Conv", codes: two, output: 6, bias: 8, axis: () => 0 },
  QLinearMatMul: { op: "MatMul", codes: two, output: 6, axis: () => -1 },
  QGemm: {
    op: "Gemm",
    codes: two,
    output: 7,
    bias: 6,
    axis: (node) => (node.attributes.transB ? 0 : 1),
    attributes: ({ attributes: { alpha = 1, transA = 0, transB = 0 } }) => ({ alpha, transA, transB }),
  },
  QLinearAdd: { op: "Add", codes: two, output: 6 },
  QLinearMul: { op: "Mul", codes: two, output: 6 },
  QLinearSigmoid: { op: "Sigmoid", codes: one, output: 3 },
  QLinearLeakyRelu: { op: "LeakyRelu", codes: one, output: 3 },
  QLinearSoftmax: { op: "Softmax", codes: one, output: 3, attributes: softmaxAxis },
  QLinearAveragePool: { op: "AveragePool", codes: one, output: 3, attributes: channelsFirst },
  QLinearGlobalAveragePool: { op: "GlobalAveragePool", codes: one, output: 3, attributes: channelsFirst },
  QLinearConcat: {
    op: "Concat",
    codes: ({ inputs }) => Array.from({ length: Math.floor((inputs.length - 2) / 3) }, (_, i) => 2 + 3 * i),
    output: 0,
  },
};

const rows: ReadonlyMap<string, Operator> = new Map(
  [arithmeticOperators, concatOperators, elementwiseOperators, matmulOperators, poolOperators, quantizeOperators, reduceOperators]
    .flat()
    .map((row) => [row.op, row]),
);

/** The rows of com.microsoft; QLinearConv and QLinearMatMul are ONNX's. */
const contributed = [
  { op: "QGemm", arity: [6, 9] },
  { op: "QLinearAdd", arity: [7, 8] },
  { op: "QLinearMul", arity: [7, 8] },
  { op: "QLinearSigmoid", arity: [4, 5] },
  { op: "QLinearLeakyRelu", arity: [4, 5] },
  { op: "QLinearSoftmax", arity: [5, 5] },
  { op: "QLinearAveragePool", arity: [4, 5] },
  { op: "QLinearGlobalAveragePool", arity: [5, 5] },
  { op: "QLinearConcat", arity: [5, Number.POSITIVE_INFINITY] },
] as const;

/** What a form is made of, for facts and for tensors alike. */
interface Steps<T> {
  dequantize(node: GraphNode, inputs: readonly (T | undefined)[]): T;
  float(node: GraphNode, inputs: readonly T[]): T;
  quantize(node: GraphNode, inputs: readonly (T | undefined)[]): T;
  /** Scale of a bias: x's times each of w's. */
  product(node: GraphNode, inputs: readonly T[]): T;
}

function row(op: string): Operator {
  const found = rows.get(op);
  assert(found, `${op} has a row`);
  return found;
}

const inferring: Steps<Fact> = {
  dequantize: (node, inputs) => row("DequantizeLinear").infer(node, inputs)[0]!,
  float: (node, inputs) => row(node.op).infer(node, inputs)[0]!,
  quantize: (node, inputs) => row("QuantizeLinear").infer(node, inputs)[0]!,
  product: (node, inputs) => row("Mul").infer(node, inputs)[0]!,
};

const computing: Steps<Tensor> = {
  dequantize: (node, inputs) => row("DequantizeLinear").reference(node, inputs)[0]!,
  float: (node, inputs) => row(node.op).reference(node, inputs)[0]!,
  quantize: (node, inputs) => row("QuantizeLinear").reference(node, inputs)[0]!,
  product: (node, inputs) => row("Mul").reference(node, inputs)[0]!,
};

function compose<T>(node: GraphNode, form: QLinearForm, inputs: readonly (T | undefined)[], steps: Steps<T>): T {
  const axis = form.axis?.(node);
  const as = (op: string, attributes: Readonly<Record<string, Attribute>> = {}): GraphNode => ({ ...node, op, attributes });
  const reals = form.codes(node).map((at, i) => {
    const attributes: Record<string, Attribute> = i === 1 && axis !== undefined ? { axis } : {};
    return steps.dequantize(as("DequantizeLinear", attributes), inputs.slice(at, at + 3));
  });
  const bias = form.bias === undefined ? undefined : inputs[form.bias];
  if (bias) {
    const scale = steps.product(as("Mul"), [required(node, inputs, 1), required(node, inputs, 4)]);
    reals.push(steps.dequantize(as("DequantizeLinear", { axis: 0 }), [bias, scale]));
  }
  const y = steps.float({ ...node, op: form.op, attributes: form.attributes ? form.attributes(node) : node.attributes }, reals);
  return inputs[form.output] ? steps.quantize(as("QuantizeLinear"), [y, inputs[form.output], inputs[form.output + 1]]) : y;
}

/** @throws HalftoneError GRAPH_INVALID or ONNX_UNSUPPORTED_TYPE unless 8-bit codes and float32 scales stand where the form wants them */
function checkInputs(node: GraphNode, form: QLinearForm, fewest: number, inputs: readonly (Fact | undefined)[]): void {
  const wrong = (found: string, expected: string): HalftoneError =>
    new HalftoneError("ONNX_UNSUPPORTED_TYPE", place(node), found, expected);
  const codes = (i: number, x: Fact | undefined): void => {
    if (x && x.dtype !== "uint8" && x.dtype !== "int8") throw wrong(`${x.dtype} as input ${i}`, "8-bit codes");
  };
  const scale = (i: number): void => {
    const { dtype } = required(node, inputs, i);
    if (dtype !== "float32") throw wrong(`${dtype} as input ${i}`, "a float32 scale");
  };
  if (node.op === "QLinearConcat" && (inputs.length < 5 || (inputs.length - 2) % 3 !== 0))
    throw new HalftoneError("GRAPH_INVALID", place(node), `${inputs.length} inputs`, "two of the output, and three for every input");
  for (const i of form.codes(node)) {
    codes(i, required(node, inputs, i));
    scale(i + 1);
    codes(i + 2, inputs[i + 2]);
  }
  const bias = form.bias === undefined ? undefined : inputs[form.bias];
  if (bias && bias.dtype !== "int32") throw wrong(`a bias of ${bias.dtype}`, "int32");
  // Where the form may end before its output's scale, the output may be float.
  if (form.output < fewest || inputs[form.output]) scale(form.output);
  codes(form.output + 1, inputs[form.output + 1]);
}

/**
 * The meaning is composed of the references: real values, the float operator, codes. (ONNX Runtime adds the zero point of sums and
 * products before it rounds: at exact ties its code may be the neighbour.)
 */
function composed({ op, arity }: (typeof contributed)[number]): Operator {
  const form = qlinearForms[op]!;
  return {
    op,
    domain: "com.microsoft",
    arity,
    infer(node, inputs) {
      checkInputs(node, form, arity[0], inputs);
      return [compose(node, form, inputs, inferring)];
    },
    reference: (node, inputs) => [compose(node, form, inputs, computing)],
  };
}

export const qlinearOperators: readonly Operator[] = contributed.map(composed);
