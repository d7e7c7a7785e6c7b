// Functions of one element in float.wasm: one row per operator names the kernel and its two parameters.
import type { FloatKernels } from "../engine/kernels.ts";
import type { ForwardKernel } from "../engine/types.ts";
import type { GraphNode, Tensor } from "../graph/types.ts";
import { number, text } from "./shape.ts";
import { sizeOf } from "./strided.ts";

type Constant = (name: string) => Tensor | undefined;

/** Kernels of the form f(dst, src, n, alpha, beta). */
type UnaryKernel = {
  [K in keyof FloatKernels]: FloatKernels[K] extends (dst: number, src: number, n: number, alpha: number, beta: number) => void ? K : never;
}[keyof FloatKernels];

interface Row {
  readonly op: string;
  kernel(node: GraphNode): UnaryKernel;
  /** alpha and beta. */
  parameters(node: GraphNode, constant: Constant): readonly [number, number];
  /** False where a parameter is computed in the run. */
  accepts?(node: GraphNode, constant: Constant): boolean;
}

function row(op: string, kernel: UnaryKernel, alpha?: number, beta?: number): Row {
  return { op, kernel: () => kernel, parameters: (node) => [number(node, "alpha", alpha ?? 0), number(node, "beta", beta ?? 0)] };
}

/** A scalar input that is absent or constant. */
const scalar = (node: GraphNode, i: number, constant: Constant, otherwise: number): number =>
  node.inputs[i] ? Number(constant(node.inputs[i])!.data[0]) : otherwise;

const rows: readonly Row[] = [
  row("Relu", "relu"),
  row("LeakyRelu", "leakyRelu", 0.01),
  row("Elu", "elu", 1),
  row("HardSigmoid", "hardSigmoid", 0.2, 0.5),
  row("HardSwish", "hardSwish"),
  row("Sigmoid", "sigmoid"),
  row("Tanh", "tanh"),
  row("Exp", "exp"),
  row("Log", "log"),
  row("Erf", "erf"),
  row("Sqrt", "sqrt"),
  row("Abs", "abs"),
  row("Neg", "neg"),
  row("Reciprocal", "reciprocal"),
  row("Softplus", "softplus"),
  row("Mish", "mish"),
  row("Swish", "swish", 1),
  row("Floor", "floor"),
  row("Ceil", "ceil"),
  { op: "Gelu", kernel: (node) => (text(node, "approximate", "none") === "tanh" ? "geluTanh" : "gelu"), parameters: () => [0, 0] },
  {
    op: "Clip",
    kernel: () => "clip",
    parameters: (node, constant) => [scalar(node, 1, constant, -Infinity), scalar(node, 2, constant, Infinity)],
    accepts: (node, constant) => node.inputs.slice(1).every((name) => name === "" || constant(name)),
  },
];

const rowOf: ReadonlyMap<string, Row> = new Map(rows.map((r) => [r.op, r]));

/** alpha and beta of a node's kernel, for its gradient. */
export function parametersOf(node: GraphNode, constant: Constant): readonly [number, number] {
  return rowOf.get(node.op)!.parameters(node, constant);
}

export const unaryKernels: readonly ForwardKernel<FloatKernels>[] = rows.map((r) => ({
  op: r.op,
  layout: "any",
  inPlace: true,
  accepts: (node, _, constant) => r.accepts?.(node, constant) ?? true,
  run({ kernels, constant }, node, [x], [y]) {
    const [alpha, beta] = r.parameters(node, constant);
    kernels[r.kernel(node)](y!.ptr, x!.ptr, sizeOf(x!.dims), alpha, beta);
  },
}));
