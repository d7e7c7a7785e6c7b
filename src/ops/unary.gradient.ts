// Gradients of functions of one element in float.wasm: one row per operator names the kernel and which side of the function it reads.
import type { FloatKernels } from "../engine/kernels.ts";
import type { GradientKernel } from "../engine/types.ts";
import type { GraphNode } from "../graph/types.ts";
import { text } from "./shape.ts";
import { sizeOf } from "./strided.ts";
import { parametersOf } from "./unary.forward.ts";

/** Kernels of the form f(dst, dy, v, n, alpha, beta). */
type Kernel = {
  [K in keyof FloatKernels]: FloatKernels[K] extends (dst: number, dy: number, v: number, n: number, alpha: number, beta: number) => void
    ? K extends `${string}Gradient`
      ? K
      : never
    : never;
}[keyof FloatKernels];

interface Row {
  readonly op: string;
  /** What the kernel reads. The result y spares the input, so that the forward pass may write over it. */
  readonly from: "x" | "y";
  kernel(node: GraphNode): Kernel;
}

const row = (op: string, from: "x" | "y", kernel: Kernel): Row => ({ op, from, kernel: () => kernel });

const rows: readonly Row[] = [
  row("Relu", "y", "reluGradient"),
  row("LeakyRelu", "x", "leakyReluGradient"),
  row("Clip", "y", "clipGradient"),
  row("Elu", "x", "eluGradient"),
  row("HardSigmoid", "y", "hardSigmoidGradient"),
  row("HardSwish", "x", "hardSwishGradient"),
  row("Sigmoid", "y", "sigmoidGradient"),
  row("Tanh", "y", "tanhGradient"),
  row("Exp", "y", "expGradient"),
  row("Log", "x", "logGradient"),
  row("Erf", "x", "erfGradient"),
  row("Sqrt", "y", "sqrtGradient"),
  row("Abs", "x", "absGradient"),
  row("Reciprocal", "y", "reciprocalGradient"),
  row("Softplus", "x", "softplusGradient"),
  row("Mish", "x", "mishGradient"),
  row("Swish", "x", "swishGradient"),
  { op: "Gelu", from: "x", kernel: (node) => (text(node, "approximate", "none") === "tanh" ? "geluTanhGradient" : "geluGradient") },
];

const negation: GradientKernel<FloatKernels> = {
  op: "Neg",
  layout: "any",
  reads: [{}],
  inPlace: true,
  backward: ({ kernels }, _, __, ___, [dy], [dx]) => kernels.neg(dx!.ptr, dy!.ptr, sizeOf(dy!.dims), 0, 0),
};

export const unaryGradients: readonly GradientKernel<FloatKernels>[] = [
  ...rows.map(
    ({ op, from, kernel }): GradientKernel<FloatKernels> => ({
      op,
      layout: "any",
      reads: [from === "x" ? { inputs: [0] } : { outputs: [0] }],
      inPlace: true,
      backward({ kernels, constant }, node, [x], [y], [dy], [dx]) {
        const [alpha, beta] = parametersOf(node, constant);
        kernels[kernel(node)](dx!.ptr, dy!.ptr, (from === "x" ? x : y)!.ptr, sizeOf(dy!.dims), alpha, beta);
      },
    }),
  ),
  negation,
];
