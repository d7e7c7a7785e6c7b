// A small network with residual blocks, and noise to learn it on: what tests of learning share.
import type { Dataset, Preprocessing, RawSample } from "../../src/data/types.ts";
import type { Tensor } from "../../src/graph/types.ts";
import { writeModel } from "../../src/onnx/write.ts";
import { quantize } from "../../src/quantize.ts";
import type { QuantizeOptions } from "../../src/quantized/options.ts";
import type { Quantized } from "../../src/quantized/types.ts";
import type { PartReport } from "../../src/reconstruct/reconstruct.ts";
import { graphOf, node, randomTensor } from "../graph/build.ts";

/** Of about the variance that keeps activations where they are. */
function weights(dims: readonly number[], seed: number): Tensor {
  const tensor = randomTensor(dims, seed);
  const factor = 2.4 / Math.sqrt(dims.slice(1).reduce((p, d) => p * d, 1));
  return { ...tensor, data: (tensor.data as Float32Array).map((w) => w * factor) };
}

/** conv – relu, a residual block, a block whose shortcut is a convolution, a mean, a matrix. */
function network() {
  const pads = { pads: [1, 1, 1, 1] };
  return graphOf(
    { x: ["N", 3, 8, 8] },
    [
      node("c0 = Conv(x, w0, b0)", pads),
      node("r0 = Relu(c0)"),
      node("c1 = Conv(r0, w1)", pads),
      node("r1 = Relu(c1)"),
      node("c2 = Conv(r1, w2)", pads),
      node("s1 = Add(c2, r0)"),
      node("r2 = Relu(s1)"),
      node("c3 = Conv(r2, w3)", { ...pads, strides: [2, 2] }),
      node("r3 = Relu(c3)"),
      node("c4 = Conv(r3, w4)", pads),
      node("p = Conv(r2, w5)", { strides: [2, 2] }),
      node("s2 = Add(c4, p)"),
      node("r4 = Relu(s2)"),
      node("g = GlobalAveragePool(r4)"),
      node("f = Flatten(g)"),
      node("y = MatMul(f, w6)"),
    ],
    {
      w0: weights([8, 3, 3, 3], 1),
      b0: randomTensor([8], 2),
      w1: weights([8, 8, 3, 3], 3),
      w2: weights([8, 8, 3, 3], 4),
      w3: weights([12, 8, 3, 3], 5),
      w4: weights([12, 12, 3, 3], 6),
      w5: weights([12, 8, 1, 1], 7),
      w6: randomTensor([12, 5], 8),
    },
  );
}

export const model: Uint8Array = writeModel(network());
export const preprocessing: Preprocessing = { scale: 1, mean: [0], std: [1] };
export const samples = 48;

export const dataset: Dataset = {
  name: "noise",
  length: samples,
  labelled: false,
  async read(start, end) {
    return Array.from({ length: end - start }, (_, i): RawSample => {
      const { data } = randomTensor([3, 8, 8], 1000 + start + i);
      const bytes = new Uint8Array((data as Float32Array).buffer.slice(0));
      return { place: `noise ${start + i}`, bytes, format: { kind: "array", dtype: "float32", dims: [3, 8, 8] }, label: -1 };
    });
  },
};

export interface Run {
  readonly quantized: Quantized;
  readonly parts: readonly PartReport[];
}

export async function run(options: Partial<QuantizeOptions>, work: Parameters<typeof quantize>[2] = {}): Promise<Run> {
  const parts: PartReport[] = [];
  const quantized = await quantize(
    { model, name: "net", dataset, preprocessing },
    { samples, weights: 2, activations: 4, ...options },
    {
      ...work,
      onPart(report, ...rest) {
        parts.push(report);
        work.onPart?.(report, ...rest);
      },
    },
  );
  return { quantized, parts };
}

/** Codes and scales, as one string: what a plan is made of. */
export const fingerprint = ({ weights, activations }: Quantized): string =>
  JSON.stringify([
    [...weights].map(([name, { codes, encoding }]) => [name, [...codes], [...encoding.scale]]),
    [...activations].map(([name, { scale }]) => [name, [...scale]]),
  ]);
