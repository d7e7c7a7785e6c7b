// Learning one part: mini-batches of cached inputs and targets, forward, loss, backward, a step of every parameter; then decisions.
import type { DeviceTensor, Layout } from "../engine/types.ts";
import { assert } from "../errors.ts";
import type { SampleCache } from "./cache.ts";
import type { Method } from "./methods.ts";
import { lpSumKernel, weightedSumKernel } from "./objectives.ts";
import { Moments, optimizers } from "./optimizers.ts";
import type { Hardened, Parametrization, WeightGrid, WeightLearner } from "./parametrizations/types.ts";
import { drawWithoutReplacement, drawWithReplacement, limitOf, type Stream, streamOf } from "./random.ts";
import { exponentAt, learningRates, regularizes } from "./schedules.ts";
import type { Suffix } from "./suffix.ts";
import type { Unit, WeightSlot } from "./unit.ts";

/** Purposes of random numbers: the last number of a stream's path, followed by which input or quantizer. */
const purpose = { samples: 0, input: 1, activation: 2 } as const;

/** The least step size: no gradient may turn a scale over. Source: Wei et al. 2022 (QDrop). */
const leastScale = 1.1920928955078125e-7;

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

export interface LearnHooks {
  /** Called between steps, at most every 20 ms of work: lets cancellation through. */
  readonly breathe: () => Promise<void>;
  readonly onStep?: ((done: number) => void) | undefined;
}

export interface Learned {
  readonly weights: ReadonlyMap<string, Hardened>;
  readonly scales: ReadonlyMap<string, number>;
  /** Elements whose rounding was not settled. */
  readonly undecided: number;
}

/** One weight under its learner. Where the tensor's first axis is the output channel, rows and tensor are the same memory. */
interface Slot {
  readonly slot: WeightSlot;
  readonly learner: WeightLearner;
  readonly rows: number;
  readonly rowGradient: number;
}

/**
 * Learns the weights (and step sizes) of a unit.
 *
 * @param grids  of the nodes whose weights are learned, by name
 * @param scales starting step sizes by group
 * @param path   of the random streams: seed and number of the unit
 */
export async function learnUnit(
  unit: Unit,
  method: Method,
  parametrization: Parametrization,
  grids: ReadonlyMap<string, WeightGrid>,
  scales: ReadonlyMap<string, number>,
  examples: Examples,
  path: { readonly seed: number; readonly unit: number },
  hooks: LearnHooks,
): Promise<Learned> {
  const { schedule } = method;
  const slots = unit.weights.map((slot): Slot => {
    const same = slot.order.outer === 1;
    const take = (ptr: number): number => (same ? ptr : unit.allocate(slot.elements * 4));
    const learner = parametrization.start(unit, grids.get(slot.node.name)!);
    return { slot, learner, rows: take(slot.variable.ptr), rowGradient: take(slot.gradient) };
  });
  const feeds = new Batches(unit, method, examples, path);
  const steps = new StepSizes(unit, method, scales);

  for (let index = 0; index < schedule.iterations; index++) {
    const count = index + 1;
    for (const { slot, learner, rows } of slots) {
      learner.write(rows);
      if (rows !== slot.variable.ptr) unit.rowsTo(slot.variable.ptr, rows, slot.order);
    }
    steps.write();
    feeds.dropActivations(index);
    const indices = feeds.draw(index);
    const outputs = unit.forward(feeds.inputs(index, indices));
    const gradients = lossGradients(unit, method, feeds, outputs, indices, examples.suffix);
    unit.backward(gradients);
    const rate = learningRates[schedule.course](schedule.rate, index, schedule.iterations);
    const step = {
      numbers: optimizers[schedule.optimizer](rate, count),
      lambda: regularizes(count, schedule.iterations, schedule.temperature) ? schedule.lambda : 0,
      exponent: exponentAt(count, schedule.iterations, schedule.temperature),
      progress: index / schedule.iterations,
    };
    for (const { slot, learner, rowGradient } of slots) {
      if (rowGradient !== slot.gradient) unit.rowsFrom(slot.gradient, rowGradient, slot.order);
      learner.step(rowGradient, step);
    }
    steps.step(index, outputs);
    hooks.onStep?.(count);
    await hooks.breathe();
  }

  const weights = new Map(slots.map(({ slot, learner }) => [slot.node.name, learner.harden()]));
  const undecided = slots.reduce((sum, { learner }) => sum + learner.undecided(), 0);
  for (const { learner } of slots) learner.release();
  feeds.release();
  return { weights, scales: steps.values(), undecided };
}

/**
 * ∂L/∂output. With a suffix the batch is twice as long: its first half is compared with the targets, its second, whose input is the quantized
 * network's alone, by what the network answers. Source: Liu et al. 2023 (PD-Quant).
 */
function lossGradients(
  unit: Unit,
  { objective }: Method,
  feeds: Batches,
  outputs: ReadonlyMap<string, DeviceTensor>,
  indices: readonly number[],
  suffix: Suffix | undefined,
): Map<string, DeviceTensor> {
  const half = (tensor: DeviceTensor, which: 0 | 1): DeviceTensor => {
    const dims = [indices.length, ...tensor.dims.slice(1)];
    return { ...tensor, dims, ptr: tensor.ptr + which * dims.reduce((p, d) => p * d, 1) * 4 };
  };
  const gradients = new Map<string, DeviceTensor>();
  for (const [name, whole] of outputs) {
    const output = half(whole, 0);
    const target = feeds.target(name, indices, output.layout);
    const weight = feeds.importance(name, indices);
    if (weight) weightedSumKernel(unit.kernels, target.ptr, output.ptr, target.ptr, weight.ptr, output.dims);
    else lpSumKernel(unit.kernels, target.ptr, output.ptr, target.ptr, output.dims, objective.p);
    gradients.set(name, { ...whole, ptr: target.ptr });
  }
  if (suffix && objective.kind === "prediction") {
    const second = (all: ReadonlyMap<string, DeviceTensor>): Map<string, DeviceTensor> =>
      new Map([...all].map(([name, tensor]) => [name, half(tensor, 1)]));
    suffix.run(second(outputs), second(gradients), unit.f32, indices, objective.weight);
  }
  return gradients;
}

/** Mini-batches in the unit's memory. Memory: one batch of each input twice, and of each output. */
class Batches {
  readonly #unit: Unit;
  readonly #method: Method;
  readonly #examples: Examples;
  readonly #path: { readonly seed: number; readonly unit: number };
  readonly #buffers = new Map<string, number>();

  constructor(unit: Unit, method: Method, examples: Examples, path: { readonly seed: number; readonly unit: number }) {
    this.#unit = unit;
    this.#method = method;
    this.#examples = examples;
    this.#path = path;
  }

  /** Samples of a pass: the batch, twice where the network behind judges a half of its own. */
  get #rows(): number {
    return this.#method.schedule.batch * (this.#examples.suffix ? 2 : 1);
  }

  #stream(index: number, ...rest: number[]): Stream {
    return streamOf(this.#path.seed, this.#path.unit, index, ...rest);
  }

  #buffer(key: string, cache: SampleCache): number {
    let ptr = this.#buffers.get(key);
    if (ptr === undefined) {
      ptr = this.#unit.allocate(this.#rows * cache.size * 4);
      this.#buffers.set(key, ptr);
    }
    return ptr;
  }

  draw(index: number): number[] {
    const { batch, replacement } = this.#method.schedule;
    const stream = this.#stream(index, purpose.samples);
    return (replacement ? drawWithReplacement : drawWithoutReplacement)(stream, batch, this.#examples.samples);
  }

  /** Inputs of a step: the quantized network's, or a random mix with the float network's. */
  inputs(index: number, indices: readonly number[]): Map<string, DeviceTensor> {
    const unit = this.#unit;
    const { inputKeep } = this.#method;
    return new Map(
      unit.part.inputs.map((name, i) => {
        const quantized = this.#examples.quantized.get(name)!;
        const at = this.#buffer(`input ${name}`, quantized);
        const tensor = quantized.gather(indices, at, unit.f32);
        const half = indices.length * quantized.size;
        if (inputKeep < 1) {
          const float = this.#examples.float.get(name)!;
          const other = this.#buffer(`float input ${name}`, float);
          const twin = float.gather(indices, other, unit.f32);
          assert(tensor.layout === twin.layout, "both networks make a value in one layout");
          const { k0, k1 } = this.#stream(index, purpose.input, i);
          unit.kernels.mixRandomly(at, at, other, half, limitOf(inputKeep), k0, k1, 0);
        }
        if (!this.#examples.suffix) return [name, tensor];
        quantized.gather(indices, at + half * 4, unit.f32);
        return [name, quantized.at(at, 2 * indices.length)];
      }),
    );
  }

  /** Targets in the layout of what they are compared with. */
  target(name: string, indices: readonly number[], layout: Layout): DeviceTensor {
    const cache = this.#examples.targets.get(name)!;
    const target = cache.gather(indices, this.#buffer(`target ${name}`, cache), this.#unit.f32);
    return this.#unit.inLayout(target, layout, () => this.#buffer(`converted target ${name}`, cache));
  }

  /** In the layout of the output they were taken from. */
  importance(name: string, indices: readonly number[]): DeviceTensor | undefined {
    const cache = this.#examples.importance?.get(name);
    return cache?.gather(indices, this.#buffer(`importance ${name}`, cache), this.#unit.f32);
  }

  /** Which elements of which activation are quantized in a step. */
  dropActivations(index: number): void {
    const { activations } = this.#method;
    if (activations.kind === "float") return;
    for (const [i, { value }] of this.#unit.quantizers.entries()) {
      if (activations.keep < 1) this.#unit.writeControl(value, limitOf(activations.keep), this.#stream(index, purpose.activation, i));
    }
  }

  release(): void {
    for (const ptr of this.#buffers.values()) this.#unit.release(ptr);
    this.#buffers.clear();
  }
}

/** Learned step sizes of activations: Adam with a cosine schedule, in float64. */
class StepSizes {
  readonly #unit: Unit;
  readonly #method: Method;
  readonly #scales: Map<string, number>;
  readonly #moments: ReadonlyMap<string, Moments>;

  constructor(unit: Unit, method: Method, scales: ReadonlyMap<string, number>) {
    this.#unit = unit;
    this.#method = method;
    this.#scales = new Map(scales);
    this.#moments = new Map([...unit.scales.keys()].map((group) => [group, new Moments(1)]));
  }

  write(): void {
    for (const [group, scale] of this.#scales) this.#unit.writeScale(group, scale);
  }

  /** `scaled` divides the gradient by √(elements · greatest code), elements counted over the batch. Source: Esser et al. 2020 (LSQ), as in QDrop. */
  step(index: number, outputs: ReadonlyMap<string, DeviceTensor>): void {
    const { activations, schedule } = this.#method;
    if (activations.kind === "float" || this.#moments.size === 0) return;
    const rate = learningRates.cosine(activations.rate, index, schedule.iterations);
    const numbers = optimizers.adam(rate, index + 1);
    const batch = outputs.values().next().value!.dims[0]!;
    for (const [group, moments] of this.#moments) {
      const raw = this.#unit.f32[this.#unit.scales.get(group)!.ptr / 4]!;
      const factor = activations.scaled ? this.#factor(group, batch) : 1;
      const value = Float64Array.of(this.#scales.get(group)!);
      moments.step(value, [raw * factor], numbers);
      this.#scales.set(group, Math.fround(Math.max(Math.abs(value[0]!), leastScale)));
    }
  }

  #factor(group: string, batch: number): number {
    const quantizer = this.#unit.quantizers.find((each) => each.group === group)!;
    const { levels } = quantizer.encoding;
    const most = levels.kind === "linear" ? levels.hi : levels.levels.length - 1;
    return 1 / Math.sqrt(Math.max(1, this.#unit.elementsOf(quantizer.value) * batch * most));
  }

  values(): Map<string, number> {
    return this.#scales;
  }
}
