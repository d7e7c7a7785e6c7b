// Gradients of functions of two and more operands in float.wasm; what was spread over the result is summed back, in fixed order.
import type { FloatKernels } from "../engine/kernels.ts";
import type { DeviceTensor, ForwardContext, GradientKernel } from "../engine/types.ts";
import type { GraphNode, Tensor } from "../graph/types.ts";
import { runBinary } from "./binary.forward.ts";
import { reduceInto, sum } from "./reduce.forward.ts";
import { copyStrided, sameInBothLayouts, sizeOf, stridesOf } from "./strided.ts";

type Context = ForwardContext<FloatKernels>;
type Row = GradientKernel<FloatKernels>;

const same = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((size, i) => size === b[i]);

/** True when element i of memory is the same element of both: a weight of the result's sizes may stand in another order. */
const aligned = (a: DeviceTensor, b: DeviceTensor): boolean => same(a.dims, b.dims) && (a.layout === b.layout || sameInBothLayouts(a.dims));

/** dx = Σ g over the axes along which x was spread to the sizes of g. */
export function sumBack(context: Context, dx: DeviceTensor, g: DeviceTensor): void {
  const missing = g.dims.length - dx.dims.length;
  const dims = g.dims.map((_, axis) => (axis < missing ? 1 : dx.dims[axis - missing]!));
  const axes = g.dims.map((_, axis) => axis).filter((axis) => dims[axis] !== g.dims[axis]);
  const whole = { ...dx, dims };
  if (axes.length > 0) reduceInto(context, sum, g, whole, axes);
  else copyStrided(context.kernels, dx.ptr, g.ptr, dims, stridesOf(dims, whole.layout), stridesOf(dims, g.layout));
}

/** Calls `make` with where a gradient of the result's sizes goes: dx itself, or scratch that is summed into dx. */
function spread(context: Context, dx: DeviceTensor, dy: DeviceTensor, make: (g: DeviceTensor) => void): void {
  if (aligned(dx, dy)) {
    make(dx);
    return;
  }
  const g = { ...dy, ptr: context.scratch(sizeOf(dy.dims) * 4) };
  make(g);
  sumBack(context, dx, g);
}

/** The result is the sum of the operands with these signs (the last stands for all further ones). */
function linear(op: string, signs: readonly (1 | -1)[]): Row {
  const sign = (i: number): 1 | -1 => signs[Math.min(i, signs.length - 1)]!;
  return {
    op,
    layout: "any",
    reads: [{}],
    passes: (x, y, i) => sign(i) === 1 && same(x, y),
    backward(context, _, __, ___, [dy], gradients) {
      gradients.forEach((dx, i) => {
        if (!dx) return;
        if (aligned(dx, dy!)) context.kernels.scale(dx.ptr, dy!.ptr, sizeOf(dy!.dims), sign(i));
        else {
          sumBack(context, dx, dy!);
          if (sign(i) < 0) context.kernels.scale(dx.ptr, dx.ptr, sizeOf(dx.dims), -1);
        }
      });
    },
  };
}

const mul: Row = {
  op: "Mul",
  layout: "any",
  reads: [{ inputs: [1] }, { inputs: [0] }],
  inPlace: true,
  backward(context, _, [a, b], __, [dy], [da, db]) {
    const times = (dx: DeviceTensor, other: DeviceTensor): void =>
      spread(context, dx, dy!, (g) => runBinary(context.kernels, "mul", g, dy!, other));
    if (da) times(da, b!);
    if (db) times(db, a!);
  },
};

/** da = dy / b; db = −dy · y / b. */
const div: Row = {
  op: "Div",
  layout: "any",
  reads: [{ inputs: [1] }, { inputs: [1], outputs: [0] }],
  inPlace: true,
  backward(context, _, [, b], [y], [dy], [da, db]) {
    const { kernels } = context;
    if (da) spread(context, da, dy!, (g) => runBinary(kernels, "div", g, dy!, b!));
    if (!db) return;
    spread(context, db, dy!, (g) => {
      runBinary(kernels, "mul", g, dy!, y!);
      runBinary(kernels, "div", g, g, b!);
    });
    kernels.neg(db.ptr, db.ptr, sizeOf(db.dims), 0, 0);
  },
};

/** The whole gradient goes to the first operand that is the result. */
function extreme(op: string): Row {
  return {
    op,
    layout: "any",
    reads: [{ inputs: "all", outputs: [0] }],
    backward(context, _, inputs, [y], [dy], gradients) {
      const { kernels } = context;
      const make = (): DeviceTensor => ({ ...dy!, ptr: context.scratch(sizeOf(dy!.dims) * 4) });
      const [rest, share] = [make(), make()];
      kernels.copyBytes(rest.ptr, dy!.ptr, sizeOf(dy!.dims) * 4);
      inputs.forEach((x, i) => {
        runBinary(kernels, "equal", share, y!, x!);
        runBinary(kernels, "mul", share, share, rest);
        runBinary(kernels, "sub", rest, rest, share);
        const dx = gradients[i];
        if (dx) spread(context, dx, dy!, (g) => kernels.copyBytes(g.ptr, share.ptr, sizeOf(dy!.dims) * 4));
      });
    },
  };
}

/** dx = dy, times the slope where x is below 0; the gradient of the slope is Σ dy · min(x, 0). */
const prelu: Row = {
  op: "PRelu",
  layout: "any",
  reads: [{ inputs: [0, 1] }, { inputs: [0] }],
  backward(context, _, [x, slope], __, [dy], [dx, dslope]) {
    const { kernels } = context;
    if (dx) {
      runBinary(kernels, "slope", dx, x!, slope!);
      runBinary(kernels, "mul", dx, dx, dy!);
    }
    if (dslope) {
      spread(context, dslope, dy!, (g) => {
        kernels.clip(g.ptr, x!.ptr, sizeOf(dy!.dims), Number.NEGATIVE_INFINITY, 0);
        runBinary(kernels, "mul", g, g, dy!);
      });
    }
  },
};

const exponentOf = (node: GraphNode, constant: Context["constant"]): Tensor | undefined => constant(node.inputs[1]!);

/** A constant scalar power: dx = dy · p · x^(p − 1). */
const pow: Row = {
  op: "Pow",
  layout: "any",
  reads: [{ inputs: [0] }],
  inPlace: true,
  accepts: (node, [x, e], constant) => exponentOf(node, constant)?.data.length === 1 && e!.length <= x!.length,
  backward({ kernels, constant }, node, [x], _, [dy], [dx]) {
    const power = Number(exponentOf(node, constant)!.data[0]);
    kernels[power === 2 ? "squareGradient" : "powGradient"](dx!.ptr, dy!.ptr, x!.ptr, sizeOf(dy!.dims), power, 0);
  },
};

export const binaryGradients: readonly Row[] = [
  linear("Add", [1]),
  linear("Sum", [1]),
  linear("Sub", [1, -1]),
  mul,
  div,
  extreme("Min"),
  extreme("Max"),
  prelu,
  pow,
];
