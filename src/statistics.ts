// Sums of products of layers' inputs, and of gradients at their outputs, over the calibration samples: leaves of 8 samples, added in their order.
import type { Dataset, Preprocessing, RawSample } from "./data/types.ts";
import { spread } from "./data/spread.ts";
import { overSlices } from "./slices.ts";
import type { Blob, Executor } from "./tasks/types.ts";
import { blobOf } from "./tasks/hash.ts";
import type { FisherOptions, FisherPayload, FisherResult } from "./tasks/kinds/fisher.ts";
import type { GramOptions, GramResult } from "./tasks/kinds/gram.ts";
import type { LayerSums } from "./reconstruct/gram/gather.ts";
import type { TwinOptions } from "./reconstruct/gram/twin.ts";
import type { LayerView } from "./reconstruct/gram/layer.ts";

/** Samples whose sums are made in one piece: whoever adds up, the same numbers are added in the same order. */
const leaf = 8;

export interface GatherRun {
  readonly model: Blob;
  readonly dataset: Dataset;
  readonly samples: number;
  readonly preprocessing: Preprocessing;
  readonly executor: Executor;
  readonly signal?: AbortSignal | undefined;
  /** Called with the samples done. */
  readonly onSamples?: ((done: number) => void) | undefined;
}

/**
 * The sums of each layer, by node name. The bytes depend on model, samples and layers alone, not on workers.
 * Memory: the sums of all layers, and those of the leaves under way: 8 bytes times about 3·d² a layer of d inputs.
 *
 * @param numbers float32 weights and biases that `twin` points into
 * @throws HalftoneError from data, model and engine, CANCELLED
 */
export async function gatherSums(
  run: GatherRun,
  layers: readonly LayerView[],
  twin?: { readonly options: TwinOptions; readonly numbers: Uint8Array },
): Promise<Map<string, LayerSums>> {
  const { executor, preprocessing, signal, onSamples } = run;
  const dataset = spread(run.dataset, run.samples);
  const options: GramOptions = { layers: layers.map(({ node }) => node.name), preprocessing, twin: twin?.options };
  const shared = twin ? [run.model, await blobOf(twin.numbers)] : [run.model];
  const sums: LayerSums[] = [];

  await overSlices<GramResult>({ kind: "gram", options, shared, dataset, slice: leaf, executor, signal, onSamples }, (result) => {
    result.forEach((each, i) => {
      const held = sums[i];
      if (!held) sums[i] = each;
      else {
        add(held.inputs, each.inputs);
        if (held.outputs) add(held.outputs, each.outputs!);
      }
    });
  });
  return new Map(layers.map(({ node }, i) => [node.name, sums[i]!]));
}

/**
 * Σ (g, 1)(g, 1)ᵀ by node name, g the gradient at a layer's outputs (tasks/kinds/fisher.ts), in one pass over the data.
 *
 * @throws HalftoneError from data, model and engine, CANCELLED; ONNX_UNSUPPORTED_OP where a gradient would have to pass an operator that
 *   has none
 */
export async function gatherFisher(run: GatherRun, layers: readonly LayerView[], seed: number): Promise<Map<string, Float64Array>> {
  const { executor, preprocessing, signal, onSamples } = run;
  const options: FisherOptions = { layers: layers.map(({ node }) => node.name), preprocessing, seed };
  const payload = (samples: readonly RawSample[], first: number): FisherPayload => ({ samples, first });
  const dataset = spread(run.dataset, run.samples);
  const sums: Float64Array[] = [];
  await overSlices<FisherResult>(
    { kind: "fisher", options, shared: [run.model], dataset, slice: leaf, payload, executor, signal, onSamples },
    (result) => {
      result.forEach((each, i) => {
        const held = sums[i];
        if (held) add(held, each);
        else sums[i] = each;
      });
    },
  );
  return new Map(layers.map(({ node }, i) => [node.name, sums[i]!]));
}

function add(to: Float64Array, from: Float64Array): void {
  for (let i = 0; i < to.length; i++) to[i]! += from[i]!;
}
