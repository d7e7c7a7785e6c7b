// A step's batch in slices: each is gathered, mixed, run forwards and backwards on its own, wherever that happens. The cut depends on the
// batch and on the unit's sizes alone, and gradients are added in the order of the slices, so that any number of workers gives the same bytes.
import type { DeviceTensor, Layout } from "../engine/types.ts";
import { assert } from "../errors.ts";
import { Buffers } from "./buffers.ts";
import type { SampleCache } from "./cache.ts";
import type { Method } from "./methods.ts";
import { lpSumKernel, sliceDistance, weightedSumKernel } from "./objectives.ts";
import { drawWithoutReplacement, drawWithReplacement, limitOf, randomWord, type Stream, streamOf } from "./random.ts";
import type { Suffix } from "./suffix.ts";
import type { Unit } from "./unit.ts";

/** Purposes of random numbers: followed by which input or quantizer, and the first row of the slice. */
const purpose = { samples: 0, input: 1, activation: 2, noise: 3 } as const;

/** What a part is learned from, by value. */
export interface Examples {
  /** Inputs as the quantized network in front makes them, and as the float network does. */
  readonly quantized: ReadonlyMap<string, SampleCache>;
  readonly float: ReadonlyMap<string, SampleCache>;
  /** Outputs of the float network. */
  readonly targets: ReadonlyMap<string, SampleCache>;
  readonly samples: number;
  /** The network behind, where half of each batch is judged by its answer. */
  readonly suffix?: Suffix | undefined;
  /** Weights of the outputs' elements, where the objective has them. */
  readonly importance?: ReadonlyMap<string, SampleCache> | undefined;
}

/** Where a unit's random streams start. */
export interface StreamPath {
  readonly seed: number;
  readonly unit: number;
}

/** Rows first … end − 1 of a batch. */
export interface Slice {
  readonly first: number;
  readonly end: number;
}

/** Samples of a slice: enough for the kernels, which lose a fifth of their speed at 8. Of values above `large` elements, fewer do. */
const sliceSamples = 16;
const largeSamples = 4;
const large = 2 ** 17;

/** Samples that run together in a unit whose largest value has so many elements a sample. */
export const rowsOf = (largest: number): number => (largest > large ? largeSamples : sliceSamples);

/** At least two slices, where there are two samples, of about equally many. */
export function cutBatch(batch: number, largest: number): Slice[] {
  const count = Math.min(batch, Math.max(2, Math.ceil(batch / rowsOf(largest))));
  const start = (i: number): number => Math.ceil((i * batch) / count);
  return Array.from({ length: count }, (_, i) => ({ first: start(i), end: start(i + 1) }));
}

/** Samples of a step. */
export function batchOf({ schedule }: Method, samples: number): number {
  return schedule.replacement ? schedule.batch : Math.min(schedule.batch, samples);
}

/** Runs slices of steps in one unit. Memory: the unit's own, and one slice of each input twice and of each output twice. */
export class SliceRunner {
  readonly #unit: Unit;
  readonly #method: Method;
  readonly #examples: Examples;
  readonly #path: StreamPath;
  readonly #buffers: Buffers;
  /** Σ of the squares of a sample's targets. */
  readonly #powers = new Map<number, number>();

  constructor(unit: Unit, method: Method, examples: Examples, path: StreamPath) {
    this.#unit = unit;
    this.#buffers = new Buffers(unit);
    this.#method = method;
    this.#examples = examples;
    this.#path = path;
  }

  /** Adds the slice's share of ∂L/∂Ŵ and ∂L/∂s of step `index` to the unit's sums. @returns its share of the loss */
  run(index: number, slice: Slice): number {
    const unit = this.#unit;
    const batch = this.#draw(index);
    const indices = batch.slice(slice.first, slice.end);
    this.#dropActivations(index, slice);
    const outputs = unit.forward(this.#inputs(index, slice, indices));
    const { loss, gradients } = this.#judge(outputs, indices, batch);
    unit.backward(gradients);
    return loss;
  }

  release(): void {
    this.#buffers.release();
  }

  #stream(index: number, ...rest: number[]): Stream {
    return streamOf(this.#path.seed, this.#path.unit, index, ...rest);
  }

  #draw(index: number): number[] {
    const { samples } = this.#examples;
    const draw = this.#method.schedule.replacement ? drawWithReplacement : drawWithoutReplacement;
    return draw(this.#stream(index, purpose.samples), batchOf(this.#method, samples), samples);
  }

  /** Which elements of which activation are quantized. */
  #dropActivations(index: number, { first }: Slice): void {
    const { activations } = this.#method;
    if (activations.kind === "float" || activations.keep === 1) return;
    for (const [i, { value }] of this.#unit.quantizers.entries())
      this.#unit.writeControl(value, limitOf(activations.keep), this.#stream(index, purpose.activation, i, first));
  }

  /**
   * The quantized network's inputs, or a random mix with the float network's. With a suffix there are twice as many rows: the second half
   * is the quantized network's alone.
   */
  #inputs(index: number, { first }: Slice, indices: readonly number[]): Map<string, DeviceTensor> {
    const unit = this.#unit;
    const { inputKeep } = this.#method;
    const halves = this.#examples.suffix ? 2 : 1;
    return new Map(
      unit.part.inputs.map((name, i) => {
        const quantized = this.#examples.quantized.get(name)!;
        const n = indices.length * quantized.size;
        const at = this.#buffers.floats(`input ${name}`, halves * n);
        const tensor = quantized.gather(indices, at, unit.f32);
        if (halves === 2) unit.kernels.copyBytes(at + n * 4, at, n * 4);
        if (inputKeep < 1) {
          const float = this.#examples.float.get(name)!;
          const twin = float.gather(indices, this.#buffers.floats(`float input ${name}`, n), unit.f32);
          assert(tensor.layout === twin.layout, "both networks make a value in one layout");
          const { k0, k1 } = this.#stream(index, purpose.input, i, first);
          unit.kernels.mixRandomly(at, at, twin.ptr, n, limitOf(inputKeep), k0, k1, 0);
        }
        if (this.#method.noise)
          addNoise(
            unit.f32.subarray(at / 4, at / 4 + halves * n),
            quantized.size,
            this.#method.noise,
            this.#stream(index, purpose.noise, i, first),
          );
        return [name, quantized.at(at, halves * indices.length)];
      }),
    );
  }

  /**
   * The loss and its gradients. With a suffix the first half of the rows is compared with the targets, the second by what the network
   * answers. Source: Liu et al. 2023 (PD-Quant).
   */
  #judge(
    outputs: ReadonlyMap<string, DeviceTensor>,
    indices: readonly number[],
    batch: readonly number[],
  ): { loss: number; gradients: ReadonlyMap<string, DeviceTensor> } {
    const { kernels } = this.#unit;
    const { objective } = this.#method;
    const half = (tensor: DeviceTensor, which: 0 | 1): DeviceTensor => {
      const dims = [indices.length, ...tensor.dims.slice(1)];
      return { ...tensor, dims, ptr: tensor.ptr + which * dims.reduce((p, d) => p * d, 1) * 4 };
    };
    let loss = 0;
    const gradients = new Map<string, DeviceTensor>();
    for (const [name, whole] of outputs) {
      const output = half(whole, 0);
      const target = this.#target(name, indices, output.layout, whole.dims[0]! / indices.length);
      const weight = this.#importance(name, indices);
      const chosen = objective.kind === "fisher" ? undefined : objective.loss;
      if (weight) loss += weightedSumKernel(kernels, target.ptr, output.ptr, target.ptr, weight.ptr, output.dims, batch.length);
      else if (chosen) {
        const sums = { samples: batch.length, power: chosen === "nmse" ? this.#power(name, batch) : 1 };
        loss += sliceDistance(kernels, this.#unit.f32, chosen, target.ptr, output.ptr, target.ptr, output.dims, sums);
      } else loss += lpSumKernel(kernels, target.ptr, output.ptr, target.ptr, output.dims, objective.p, batch.length);
      gradients.set(name, { ...whole, ptr: target.ptr });
    }
    const { suffix } = this.#examples;
    if (suffix && objective.kind === "prediction") {
      const second = (all: ReadonlyMap<string, DeviceTensor>): Map<string, DeviceTensor> =>
        new Map([...all].map(([name, tensor]) => [name, half(tensor, 1)]));
      loss += suffix.run(second(outputs), second(gradients), this.#unit.f32, indices, (objective.weight * indices.length) / batch.length);
    }
    return { loss, gradients };
  }

  /** In the layout of what they are compared with, in memory for `halves` times as many rows. */
  #target(name: string, indices: readonly number[], layout: Layout, halves: number): DeviceTensor {
    const cache = this.#examples.targets.get(name)!;
    const n = halves * indices.length * cache.size;
    const target = cache.gather(indices, this.#buffers.floats(`target ${name}`, n), this.#unit.f32);
    return this.#unit.inLayout(target, layout, () => this.#buffers.floats(`converted target ${name}`, n));
  }

  /** In the layout of the output they were taken from. */
  #importance(name: string, indices: readonly number[]): DeviceTensor | undefined {
    const cache = this.#examples.importance?.get(name);
    return cache?.gather(indices, this.#buffers.floats(`importance ${name}`, indices.length * cache.size), this.#unit.f32);
  }

  /** Σ of the squares of a batch's targets. */
  #power(name: string, batch: readonly number[]): number {
    const cache = this.#examples.targets.get(name)!;
    const row = new Float32Array(cache.size);
    return batch.reduce((sum, sample) => {
      let own = this.#powers.get(sample);
      if (own === undefined) {
        cache.gather([sample], 0, row);
        own = row.reduce((total, x) => total + x * x, 0);
        this.#powers.set(sample, own);
      }
      return sum + own;
    }, 0);
  }
}

/** Adds to each element up to `share` of its row's largest magnitude, evenly on both sides. */
function addNoise(values: Float32Array, size: number, share: number, stream: Stream): void {
  for (let start = 0; start < values.length; start += size) {
    let most = 0;
    for (let i = start; i < start + size; i++) most = Math.max(most, Math.abs(values[i]!));
    for (let i = start; i < start + size; i++) values[i]! += share * most * (randomWord(stream, i) / 2147483648 - 1);
  }
}
