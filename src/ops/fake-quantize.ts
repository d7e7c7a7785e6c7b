// An activation as its codes would say it: a node of our own between a value's producer and its readers, while a network is learned.
// Inputs: x, the step size [1], and a control word of four uint32 in the place of floats (limit, key0, key1, first: assembly/float/fakequantize.ts).
// Attributes: `low` and `high`, least and greatest code minus zero point.
import type { FloatKernels } from "../engine/kernels.ts";
import type { ForwardKernel, GradientKernel } from "../engine/types.ts";
import { assert } from "../errors.ts";
import { roundHalfEven } from "../formats/rounding.ts";
import type { GraphNode } from "../graph/types.ts";
import type { Operator } from "./operator.ts";
import { number } from "./shape.ts";
import { sizeOf } from "./strided.ts";

export const fakeQuantizeOp = "FakeQuantize";

const bounds = (node: GraphNode): [low: number, high: number] => [number(node, "low", 0), number(node, "high", 255)];

/** Control that quantizes every element. */
export const quantizeAll: Uint32Array = Uint32Array.of(0xffffffff, 0, 0, 0);

export const fakeQuantize: Operator = {
  op: fakeQuantizeOp,
  arity: [3, 3],
  infer: (_, [x]) => [{ dtype: "float32", dims: x?.dims }],
  /** All elements quantized: dropping is a matter of learning alone. */
  reference(node, [x, scale]) {
    assert(x?.data instanceof Float32Array && scale, "a fake quantizer has a float32 input and a step size");
    const s = Number(scale.data[0]);
    const [low, high] = bounds(node);
    const data = x.data.map((v) => s * Math.min(high, Math.max(low, roundHalfEven(Math.fround(v / s)))));
    return [{ dtype: "float32", dims: x.dims, data }];
  },
};

export const fakeQuantizeForward: ForwardKernel<FloatKernels> = {
  op: fakeQuantizeOp,
  layout: "any",
  inPlace: true,
  accepts: () => true,
  run({ kernels, f32 }, node, [x, scale, control], [y]) {
    const [low, high] = bounds(node);
    kernels.fakeQuantizeSome(y!.ptr, x!.ptr, sizeOf(x!.dims), f32[scale!.ptr / 4]!, low, high, control!.ptr);
  },
};

export const fakeQuantizeGradient: GradientKernel<FloatKernels> = {
  op: fakeQuantizeOp,
  layout: "any",
  reads: [{ inputs: [0, 1, 2] }],
  inPlace: true,
  backward(context, node, [x, scale, control], _, [dy], [dx, ds]) {
    const [low, high] = bounds(node);
    const n = sizeOf(x!.dims);
    const to = dx?.ptr ?? context.scratch(n * 4);
    const s = context.f32[scale!.ptr / 4]!;
    const step = context.kernels.fakeQuantizeSomeGradient(to, x!.ptr, dy!.ptr, n, s, low, high, control!.ptr);
    if (ds) context.f32[ds.ptr / 4] = step;
  },
};
