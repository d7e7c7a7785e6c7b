// Gradients of linear operators that only move, copy or blend elements: the forward row itself, run with every kernel replaced by its
// adjoint. Each such row is one stage of kernels, so their order does not matter but for the order of sums, which is the row's own.
import type { FloatKernels } from "../engine/kernels.ts";
import type { DeviceTensor, ForwardContext, ForwardKernel, GradientKernel } from "../engine/types.ts";
import type { Tensor } from "../graph/types.ts";
import { movementKernels } from "./movement.forward.ts";
import { poolKernels } from "./pool.forward.ts";
import { resizeKernels } from "./resize.forward.ts";
import { sizeOf } from "./strided.ts";

type Context = ForwardContext<FloatKernels>;

const adjoints: WeakMap<FloatKernels, FloatKernels> = new WeakMap();

/** The kernels, those of linear rows with source and destination in each other's place, adding to what is there. */
function adjointOf(kernels: FloatKernels): FloatKernels {
  let adjoint = adjoints.get(kernels);
  if (!adjoint) {
    const replaced: Partial<FloatKernels> = {
      copyBytes: (dst, src, bytes) => kernels.accumulate(src, dst, bytes / 4),
      copy4: (dst, src, d0, d1, d2, d3, s0, s1, s2, s3, t0, t1, t2, t3) =>
        kernels.add4(src, dst, d0, d1, d2, d3, t0, t1, t2, t3, s0, s1, s2, s3),
      blendPixels: (dst, src, ...rest) => kernels.spreadPixels(src, dst, ...rest),
      averagePool: (dst, src, ...rest) => kernels.averagePoolGradient(src, dst, ...rest),
      // Padding comes from no element.
      fill: () => {},
    };
    // Exports are read-only, so that a plain assignment would fail; and copying all of them would lose what V8 knows of them.
    adjoint = Object.create(kernels, Object.getOwnPropertyDescriptors(replaced)) as FloatKernels;
    adjoints.set(kernels, adjoint);
  }
  return adjoint;
}

/** A context whose kernels run backwards. */
class AdjointContext implements Context {
  readonly kernels: FloatKernels;
  readonly #context: Context;

  constructor(context: Context) {
    this.kernels = adjointOf(context.kernels);
    this.#context = context;
  }

  get f32(): Float32Array {
    return this.#context.f32;
  }

  get constant(): (name: string) => Tensor | undefined {
    return this.#context.constant;
  }

  scratch(bytes: number): number {
    return this.#context.scratch(bytes);
  }

  once: Context["once"] = (...given) => this.#context.once(...given);
}

function adjointRow(forward: ForwardKernel<FloatKernels>): GradientKernel<FloatKernels> {
  return {
    op: forward.op,
    layout: forward.layout,
    reads: [{}],
    accepts: (...given) => forward.accepts(...given),
    backward(context, node, inputs, _, outputGradients, inputGradients) {
      for (const dx of inputGradients) if (dx) context.kernels.fill(dx.ptr, 0, sizeOf(dx.dims));
      // A row writes its inputs one after the other: those whose gradient is not wanted go to scratch.
      const targets = inputs.map((x, i): DeviceTensor | undefined => inputGradients[i] ?? (x && { ...x, ptr: spare(context, x) }));
      forward.run(new AdjointContext(context), node, targets, outputGradients);
    },
  };
}

const spare = (context: Context, x: DeviceTensor): number => context.scratch(sizeOf(x.dims) * 4);

/** Rows whose gradient is the same elements in the same order. */
const unmoved: ReadonlySet<string> = new Set(["Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze"]);

const average = poolKernels.filter(({ op }) => op === "AveragePool");

export const movementGradients: readonly GradientKernel<FloatKernels>[] = [...movementKernels, ...resizeKernels, ...average].map((row) =>
  unmoved.has(row.op) ? { ...adjointRow(row), passes: (_, __, i) => i === 0 } : adjointRow(row),
);
