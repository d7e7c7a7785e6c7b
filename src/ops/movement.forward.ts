// Operators that only move elements, in float.wasm: all are strided copies.
import type { FloatKernels } from "../engine/kernels.ts";
import type { ForwardKernel } from "../engine/types.ts";
import { factOf, knownNumbers, axisOf, number, numbersAttribute, text } from "./shape.ts";
import { padsOf, rangeOf } from "./slice.ts";
import { broadcastStrides, copyStrided, sizeOf, stridesOf } from "./strided.ts";

type Row = ForwardKernel<FloatKernels>;

/** The elements stay in row-major order; only the sizes change. */
function sameOrder(op: string, layout: "row-major" | "any"): Row {
  return {
    op,
    layout,
    accepts: () => true,
    run: ({ kernels }, _, [x], [y]) => kernels.copyBytes(y!.ptr, x!.ptr, sizeOf(x!.dims) * 4),
  };
}

const dropout: Row = {
  ...sameOrder("Dropout", "any"),
  accepts: (node, _, constant) => !node.inputs[2] || constant(node.inputs[2])?.data[0] === 0,
};

const transpose: Row = {
  op: "Transpose",
  layout: "row-major",
  accepts: () => true,
  run({ kernels }, node, [x], [y]) {
    const rank = x!.dims.length;
    const perm = numbersAttribute(node, "perm")?.map((axis) => axisOf(node, axis, rank)) ?? x!.dims.map((_, axis) => rank - 1 - axis);
    const strides = stridesOf(x!.dims, x!.layout);
    copyStrided(
      kernels,
      y!.ptr,
      x!.ptr,
      y!.dims,
      stridesOf(y!.dims, y!.layout),
      perm.map((axis) => strides[axis]!),
    );
  },
};

const expand: Row = {
  op: "Expand",
  layout: "any",
  accepts: () => true,
  run({ kernels }, _, [x], [y]) {
    copyStrided(kernels, y!.ptr, x!.ptr, y!.dims, stridesOf(y!.dims, y!.layout), broadcastStrides(x!, y!.dims));
  },
};

const concat: Row = {
  op: "Concat",
  layout: "any",
  accepts: () => true,
  run({ kernels }, node, inputs, [y]) {
    const axis = axisOf(node, number(node, "axis", 0), y!.dims.length);
    const strides = stridesOf(y!.dims, y!.layout);
    let dst = y!.ptr;
    for (const x of inputs) {
      copyStrided(kernels, dst, x!.ptr, x!.dims, strides, stridesOf(x!.dims, x!.layout));
      dst += x!.dims[axis]! * strides[axis]! * 4;
    }
  },
};

const split: Row = {
  op: "Split",
  layout: "any",
  accepts: (node) => node.outputs.every((name) => name !== ""),
  run({ kernels }, node, [x], outputs) {
    const axis = axisOf(node, number(node, "axis", 0), x!.dims.length);
    const strides = stridesOf(x!.dims, x!.layout);
    let src = x!.ptr;
    for (const y of outputs) {
      copyStrided(kernels, y.ptr, src, y.dims, stridesOf(y.dims, y.layout), strides);
      src += y.dims[axis]! * strides[axis]! * 4;
    }
  },
};

const slice: Row = {
  op: "Slice",
  layout: "any",
  accepts: (node, _, constant) => node.inputs.slice(1).every((name) => name === "" || constant(name)),
  run({ kernels, constant }, node, [x], [y]) {
    const list = (i: number): readonly number[] | undefined => {
      const tensor = node.inputs[i] ? constant(node.inputs[i]) : undefined;
      return tensor && knownNumbers(factOf(tensor));
    };
    const starts = list(1)!;
    const ends = list(2)!;
    const axes = (list(3) ?? starts.map((_, i) => i)).map((axis) => axisOf(node, axis, x!.dims.length));
    const steps = list(4) ?? starts.map(() => 1);
    const strides = stridesOf(x!.dims, x!.layout);
    let src = x!.ptr;
    axes.forEach((axis, i) => {
      const range = rangeOf(x!.dims[axis]!, starts[i]!, ends[i]!, steps[i]!);
      src += range.start * strides[axis]! * 4;
      strides[axis]! *= range.step;
    });
    copyStrided(kernels, y!.ptr, src, y!.dims, stridesOf(y!.dims, y!.layout), strides);
  },
};

const pad: Row = {
  op: "Pad",
  layout: "any",
  accepts: (node, _, constant) =>
    text(node, "mode", "constant") === "constant" && node.inputs.slice(1).every((name) => name === "" || constant(name)),
  run({ kernels, constant }, node, [x], [y]) {
    const given = node.inputs.map((name) => (name === "" ? undefined : constant(name)));
    const pads = padsOf(
      node,
      x!.dims.length,
      given.map((tensor) => tensor && factOf(tensor)),
    )!;
    const from = stridesOf(x!.dims, x!.layout);
    const to = stridesOf(y!.dims, y!.layout);
    let { ptr: dst } = y!;
    let { ptr: src } = x!;
    // A negative pad crops: the copy starts inside the input.
    const kept = x!.dims.map((size, axis) => {
      const [before, after] = pads[axis]!;
      dst += Math.max(before, 0) * to[axis]! * 4;
      src += Math.max(-before, 0) * from[axis]! * 4;
      return Math.max(0, size + Math.min(before, 0) + Math.min(after, 0));
    });
    kernels.fill(y!.ptr, Number(given[2]?.data[0] ?? 0), sizeOf(y!.dims));
    copyStrided(kernels, dst, src, kept, to, from);
  },
};

/** One copy per index, of all that the other axes hold. */
const gather: Row = {
  op: "Gather",
  layout: "row-major",
  accepts(node, [dims], constant) {
    const indices = constant(node.inputs[1]!);
    const size = dims![axisOf(node, number(node, "axis", 0), dims!.length)]!;
    return indices !== undefined && knownNumbers(factOf(indices))!.every((i) => i >= -size && i < size);
  },
  run({ kernels, constant }, node, [x], [y]) {
    const axis = axisOf(node, number(node, "axis", 0), x!.dims.length);
    const indices = knownNumbers(factOf(constant(node.inputs[1]!)!))!;
    const size = x!.dims[axis]!;
    const inner = sizeOf(x!.dims.slice(axis + 1));
    const dims = [sizeOf(x!.dims.slice(0, axis)), inner];
    indices.forEach((index, i) => {
      const at = index < 0 ? index + size : index;
      copyStrided(kernels, y!.ptr + i * inner * 4, x!.ptr + at * inner * 4, dims, [indices.length * inner, 1], [size * inner, 1]);
    });
  },
};

/** Channels (b, b, depth) or (depth, b, b) become blocks of b×b pixels. */
const depthToSpace: Row = {
  op: "DepthToSpace",
  layout: "any",
  accepts: () => true,
  run({ kernels }, node, [x], [y]) {
    const block = number(node, "blocksize", 1);
    const [n, , h, w] = x!.dims as [number, number, number, number];
    const depth = y!.dims[1]!;
    const [xn, xc, xh, xw] = stridesOf(x!.dims, x!.layout) as [number, number, number, number];
    const [yn, yc, yh, yw] = stridesOf(y!.dims, y!.layout) as [number, number, number, number];
    const [row, column, plane] =
      text(node, "mode", "DCR") === "CRD" ? [block * xc, xc, block * block * xc] : [block * depth * xc, depth * xc, xc];
    const dims = [n, h, block, w, block, depth];
    copyStrided(kernels, y!.ptr, x!.ptr, dims, [yn, block * yh, yh, block * yw, yw, yc], [xn, xh, row, xw, column, plane]);
  },
};

export const movementKernels: readonly Row[] = [
  sameOrder("Identity", "any"),
  sameOrder("Reshape", "row-major"),
  sameOrder("Flatten", "row-major"),
  sameOrder("Squeeze", "row-major"),
  sameOrder("Unsqueeze", "row-major"),
  dropout,
  transpose,
  expand,
  concat,
  split,
  slice,
  pad,
  gather,
  depthToSpace,
];
