// Sums of products of layers' inputs over the calibration samples: leaves of 8 samples, added in their order.
import type { Dataset, Preprocessing } from "./data/types.ts";
import { readSpread } from "./data/spread.ts";
import { throwIfAborted } from "./errors.ts";
import type { Blob, Executor, Task } from "./tasks/types.ts";
import { blobOf } from "./tasks/hash.ts";
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
  const { dataset, executor, preprocessing, signal } = run;
  const total = Math.min(run.samples, dataset.length);
  const options: GramOptions = { layers: layers.map(({ node }) => node.name), preprocessing, twin: twin?.options };
  const shared = twin ? [run.model, await blobOf(twin.numbers)] : [run.model];
  const sums: LayerSums[] = [];

  async function* tasks(): AsyncGenerator<Task> {
    for (let start = 0; start < total; start += leaf) {
      throwIfAborted(signal, "Gram matrices");
      const end = Math.min(start + leaf, total);
      const payload = await readSpread(dataset, start, end, total);
      yield { kind: "gram", options, shared, payload, label: `Gram matrices of samples ${start}…${end - 1}` };
    }
  }

  await executor.run<GramResult>(
    tasks(),
    (result) => {
      result.forEach((each, i) => {
        const held = sums[i];
        if (!held) sums[i] = each;
        else {
          add(held.inputs, each.inputs);
          if (held.outputs) add(held.outputs, each.outputs!);
        }
      });
    },
    { signal, onDone: (done) => run.onSamples?.(Math.min(done * leaf, total)) },
  );
  return new Map(layers.map(({ node }, i) => [node.name, sums[i]!]));
}

function add(to: Float64Array, from: Float64Array): void {
  for (let i = 0; i < to.length; i++) to[i]! += from[i]!;
}
