// A quantized network learned as a whole: what views its samples have, who runs the steps.
import { learnedNetwork, type PartStore } from "./checkpoints.ts";
import type { Dataset } from "./data/types.ts";
import { pairsOf } from "./pairs.ts";
import type { Quantized } from "./quantized/types.ts";
import type { NetworkMethod } from "./reconstruct/methods.ts";
import { type Augmentation, noAugmentation } from "./reconstruct/network/augment.ts";
import { distill } from "./reconstruct/network/distill.ts";
import type { SampleSource } from "./reconstruct/types.ts";
import { createMeter, type WorkOptions } from "./tasks/index.ts";

/** Images are moved by at most this share of their width. */
const mostShift = 1 / 16;

/**
 * Activations of so few bits leave a channel that reaches a tenth of the widest one code, so that channels are equalized before; and weights
 * more to make up for, which generalizes from more views.
 */
export const coarseBits = 3;
const mostWarp = 1 / 4;

/** Pictures may be moved, mirrored and warped; of other samples nothing is known but that they can be mixed. */
async function viewsOf(dataset: Dataset, width: number, bits: number, mix: number): Promise<Augmentation> {
  const [first] = await dataset.read(0, 1);
  if (first!.format.kind === "array") return { ...noAugmentation, mix };
  return { shift: Math.round(width * mostShift), mirror: true, warp: bits <= coarseBits ? mostWarp : 0, mix };
}

/**
 * Learns codes, scales, biases and, where activations are quantized, their step sizes together.
 *
 * @param setting.iterations       steps
 * @param setting.floatActivations leaves activations in float
 */
export async function learnWhole(
  quantized: Quantized,
  dataset: Dataset,
  samples: SampleSource,
  method: NetworkMethod,
  { iterations, floatActivations }: { readonly iterations: number; readonly floatActivations: boolean },
  work: WorkOptions & { readonly checkpoints?: PartStore | undefined } = {},
): Promise<Quantized> {
  const { graph } = quantized;
  const width = graph.facts.get(graph.inputs[0]!)?.dims?.[3];
  const bits = floatActivations ? 32 : Math.min(...[...quantized.activations.values()].map((encoding) => encoding.bits));
  const augmentation = await viewsOf(dataset, typeof width === "number" ? width : 0, bits, method.mix);
  const meter = createMeter("whole", iterations, work.onProgress);
  const setting = { iterations, activations: !floatActivations, augmentation };
  return distill(quantized, samples, method, setting, pairsOf(work.executor, work.signal), {
    seed: work.seed,
    signal: work.signal,
    checkpoints: work.checkpoints && learnedNetwork(work.checkpoints),
    onStep: meter,
  });
}
