// Functions of two operands in float.wasm, with broadcasting by strides; operators of many operands fold from the left.
import type { FloatKernels } from "../engine/kernels.ts";
import type { DeviceTensor, ForwardKernel } from "../engine/types.ts";
import type { GraphNode, Tensor } from "../graph/types.ts";
import { broadcastStrides, collapse, forFour, sizeOf, stridesOf } from "./strided.ts";

export type BinaryKernel = "add" | "sub" | "mul" | "div" | "min" | "max" | "prelu" | "slope" | "equal" | "pow";

/** y = f(a, b), both spread over the sizes of y. `a` may be y itself. */
export function runBinary(kernels: FloatKernels, kernel: BinaryKernel, y: DeviceTensor, a: DeviceTensor, b: DeviceTensor): void {
  const nest = collapse(y.dims, stridesOf(y.dims, y.layout), broadcastStrides(a, y.dims), broadcastStrides(b, y.dims));
  const f = kernels[kernel];
  forFour(nest, (offsets, d, strides) => {
    const [to, from, other] = offsets as [number, number, number];
    const [, s, t] = strides as [number[], number[], number[]];
    f(
      y.ptr + to * 4,
      a.ptr + from * 4,
      b.ptr + other * 4,
      d[0]!,
      d[1]!,
      d[2]!,
      d[3]!,
      s[0]!,
      s[1]!,
      s[2]!,
      s[3]!,
      t[0]!,
      t[1]!,
      t[2]!,
      t[3]!,
    );
  });
}

/** A third operand may be the first again, so only pairs are written in place. */
function row(op: string, kernel: BinaryKernel, inPlace: boolean): ForwardKernel<FloatKernels> {
  return {
    op,
    layout: "any",
    inPlace,
    accepts: () => true,
    run({ kernels }, _, inputs, [y]) {
      const [first, ...rest] = inputs as DeviceTensor[];
      if (rest.length === 0) kernels.copyBytes(y!.ptr, first!.ptr, sizeOf(y!.dims) * 4);
      rest.forEach((operand, i) => {
        runBinary(kernels, kernel, y!, i === 0 ? first! : y!, operand);
      });
    },
  };
}

type Constant = (name: string) => Tensor | undefined;

const exponent = (node: GraphNode, constant: Constant): Tensor | undefined => constant(node.inputs[1]!);

/** A square is one product; any other power goes through the library's function. */
const pow: ForwardKernel<FloatKernels> = {
  op: "Pow",
  layout: "any",
  inPlace: true,
  accepts: (node, _, constant) => (exponent(node, constant)?.dtype ?? "float32") === "float32",
  run({ kernels, constant }, node, [x, e], [y]) {
    const power = exponent(node, constant);
    const squares = power?.data.length === 1 && power.data[0] === 2 && power.dims.length <= x!.dims.length;
    if (squares) kernels.square(y!.ptr, x!.ptr, sizeOf(x!.dims), 0, 0);
    else runBinary(kernels, "pow", y!, x!, e!);
  },
};

export const binaryKernels: readonly ForwardKernel<FloatKernels>[] = [
  row("Add", "add", true),
  row("Sub", "sub", true),
  row("Mul", "mul", true),
  row("Div", "div", true),
  row("Min", "min", false),
  row("Max", "max", false),
  row("Sum", "add", false),
  row("PRelu", "prelu", true),
  pow,
];
