// Resize (nearest and linear) in float.wasm: each output pixel of a channels-last image is a blend of 1, 2, 4 or 8 input pixels.
import type { FloatKernels } from "../engine/kernels.ts";
import type { ForwardContext, ForwardKernel } from "../engine/types.ts";
import { areKnown } from "../graph/dims.ts";
import type { Fact, GraphNode, Tensor } from "../graph/types.ts";
import { resizeOperators, type Sample, samplesOf } from "./resize.ts";
import { factOf, number } from "./shape.ts";
import { sizeOf } from "./strided.ts";

type Constant = (name: string) => Tensor | undefined;

function factsOf(node: GraphNode, dims: readonly number[], constant: Constant): (Fact | undefined)[] {
  const rest = node.inputs.slice(1).map((name) => (name === "" ? undefined : constant(name)));
  return [{ dtype: "float32", dims }, ...rest.map((tensor) => tensor && factOf(tensor))];
}

/** Samples with the weight on each end, of which the second is left out where no position needs it. */
function endsOf(samples: readonly Sample[]): readonly (readonly [position: number, weight: number])[][] {
  const both = samples.some(({ weight }) => weight !== 0);
  return samples.map(({ low, high, weight }) =>
    both
      ? [
          [low, 1 - weight],
          [high, weight],
        ]
      : [[low, 1]],
  );
}

/** For each output pixel the input pixels it blends: the product of what the axes say. */
function blends(
  from: readonly number[],
  samples: readonly (readonly Sample[])[],
): { taps: Int32Array; weights: Float32Array; count: number } {
  let rows: (readonly (readonly [number, number])[])[] = [[[0, 1]]];
  samples.forEach((axis, a) => {
    const ends = endsOf(axis);
    rows = rows.flatMap((row) =>
      ends.map((pair) =>
        row.flatMap(([at, w]) => pair.map(([position, weight]): [number, number] => [at * from[a]! + position, w * weight])),
      ),
    );
  });
  const flat = rows.flat();
  return { taps: Int32Array.from(flat, ([at]) => at), weights: Float32Array.from(flat, ([, w]) => w), count: rows[0]!.length };
}

function place(context: ForwardContext<FloatKernels>, data: Int32Array | Float32Array): number {
  const ptr = context.scratch(data.byteLength);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  new Uint8Array(context.f32.buffer).set(bytes, ptr);
  return ptr;
}

const still = (samples: readonly Sample[]): boolean => samples.every(({ low, weight }, at) => low === at && weight === 0);

export const resizeKernels: readonly ForwardKernel<FloatKernels>[] = [
  {
    op: "Resize",
    layout: "channels-last",
    accepts(node, [dims], constant) {
      const inRun = node.inputs.slice(1).some((name) => name !== "" && !constant(name));
      if (inRun || dims!.length < 3 || dims!.length > 5 || dims!.includes(0) || number(node, "antialias", 0)) return false;
      const facts = factsOf(node, dims!, constant);
      const out = resizeOperators[0]!.infer(node, facts)[0]!.dims;
      if (!areKnown(out) || out.includes(0)) return false;
      const [images, channels] = samplesOf(node, dims!, out, facts);
      return out[0] === dims![0] && out[1] === dims![1] && still(images!) && still(channels!);
    },
    run(context, node, [x], [y]) {
      const [images, channels, ...from] = x!.dims as [number, number, ...number[]];
      const samples = samplesOf(node, x!.dims, y!.dims, factsOf(node, x!.dims, context.constant)).slice(2);
      const { taps, weights, count } = blends(from, samples);
      const [at, weight] = [place(context, taps), place(context, weights)];
      const pixels = sizeOf(y!.dims.slice(2));
      for (let i = 0; i < images; i++) {
        const dst = y!.ptr + i * pixels * channels * 4;
        const src = x!.ptr + i * sizeOf(from) * channels * 4;
        context.kernels.blendPixels(dst, src, at, weight, pixels, count, channels);
      }
    },
  },
];
