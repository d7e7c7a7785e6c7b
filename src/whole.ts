// A quantized network learned as a whole: what views its samples have, who runs the steps.
import { learnedNetwork, type PartStore } from "./checkpoints.ts";
import type { Dataset } from "./data/types.ts";
import { pairsOf } from "./pairs.ts";
import type { QuantizeOptions } from "./quantized/options.ts";
import type { Quantized } from "./quantized/types.ts";
import type { NetworkMethod } from "./reconstruct/methods.ts";
import { type Augmentation, noAugmentation } from "./reconstruct/network/augment.ts";
import { distill } from "./reconstruct/network/distill.ts";
import type { SampleSource } from "./reconstruct/types.ts";
import { createMeter, type WorkOptions } from "./tasks/index.ts";

/** Images are moved by at most this share of their width. */
const mostShift = 1 / 16;

/** As much as a view is scaled, turned and sheared where there is much to make up for. */
const mostWarp = 1 / 4;

/**
 * Where activations have 3 bits and fewer, a channel that reaches a tenth of the widest keeps one code, so that channels are equalized
 * before; and weights have more to make up for, which generalizes from more views. Weights of 2 bits fit neither (test/bench/RESULTS.md).
 */
export const isCoarse = ({ weights, activations, floatActivations }: QuantizeOptions): boolean =>
  !floatActivations && activations <= 3 && weights >= 3;

/** Pictures may be moved, mirrored and warped; of other samples nothing is known but that they can be mixed. */
async function viewsOf(dataset: Dataset, width: number, coarse: boolean, mix: number): Promise<Augmentation> {
  const [first] = await dataset.read(0, 1);
  if (first!.format.kind === "array") return { ...noAugmentation, mix };
  return { shift: Math.round(width * mostShift), mirror: true, warp: coarse ? mostWarp : 0, mix };
}

/**
 * Learns codes, scales, biases and, where activations are quantized, their step sizes together.
 *
 * @param setting.iterations       steps
 * @param setting.floatActivations leaves activations in float
 * @param setting.coarse           as isCoarse says
 */
export async function learnWhole(
  quantized: Quantized,
  dataset: Dataset,
  samples: SampleSource,
  method: NetworkMethod,
  setting: { readonly iterations: number; readonly floatActivations: boolean; readonly coarse: boolean },
  work: WorkOptions & { readonly checkpoints?: PartStore | undefined } = {},
): Promise<Quantized> {
  const { graph } = quantized;
  const { iterations, floatActivations, coarse } = setting;
  const width = graph.facts.get(graph.inputs[0]!)?.dims?.[3];
  const augmentation = await viewsOf(dataset, typeof width === "number" ? width : 0, coarse, method.mix);
  const meter = createMeter("whole", iterations, work.onProgress);
  return distill(
    quantized,
    samples,
    method,
    { iterations, activations: !floatActivations, augmentation },
    pairsOf(work.executor, work.signal),
    {
      seed: work.seed,
      signal: work.signal,
      checkpoints: work.checkpoints && learnedNetwork(work.checkpoints),
      onStep: meter,
    },
  );
}
