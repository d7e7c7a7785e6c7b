// Learning one part: for each step the gradients of a mini-batch, then a step of every parameter; at the end, decisions.
import type { GradientSource } from "./gradients.ts";
import type { Method } from "./methods.ts";
import { Moments, optimizers } from "./optimizers.ts";
import type { Hardened, Parametrization, WeightGrid, WeightLearner } from "./parametrizations/types.ts";
import { exponentAt, learningRates, regularizes } from "./schedules.ts";
import type { Unit, WeightSlot } from "./unit.ts";

/** The least step size: no gradient may turn a scale over. Source: Wei et al. 2022 (QDrop). */
const leastScale = 1.1920928955078125e-7;

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
 * @param starts codes to start at instead of at the weights
 */
export async function learnUnit(
  unit: Unit,
  method: Method,
  parametrization: Parametrization,
  grids: ReadonlyMap<string, WeightGrid>,
  scales: ReadonlyMap<string, number>,
  gradients: GradientSource,
  hooks: LearnHooks,
  starts?: ReadonlyMap<string, Hardened>,
): Promise<Learned> {
  const { schedule } = method;
  const slots = unit.weights.map((slot): Slot => {
    const same = slot.order.outer === 1;
    const take = (ptr: number): number => (same ? ptr : unit.allocate(slot.elements * 4));
    const options = { ...method.rounding, optimizer: schedule.optimizer, start: starts?.get(slot.node.name) };
    const learner = parametrization.start(unit, grids.get(slot.node.name)!, options);
    return { slot, learner, rows: take(slot.variable.ptr), rowGradient: take(slot.gradient) };
  });
  const steps = new StepSizes(unit, method, scales, gradients.rows);

  for (let index = 0; index < schedule.iterations; index++) {
    const count = index + 1;
    for (const { slot, learner, rows } of slots) {
      learner.write(rows);
      if (rows !== slot.variable.ptr) unit.rowsTo(slot.variable.ptr, rows, slot.order);
    }
    steps.write();
    await gradients.make(index);
    const rate = learningRates[schedule.course](schedule.rate, index, schedule.iterations);
    const step = {
      numbers: optimizers[schedule.optimizer](rate, count),
      lambda:
        method.rounding?.regularizer !== "none" && regularizes(count, schedule.iterations, schedule.temperature) ? schedule.lambda : 0,
      exponent: exponentAt(count, schedule.iterations, schedule.temperature),
      progress: index / schedule.iterations,
    };
    for (const { slot, learner, rowGradient } of slots) {
      if (rowGradient !== slot.gradient) unit.rowsFrom(slot.gradient, rowGradient, slot.order);
      learner.step(rowGradient, step);
    }
    steps.step(index);
    hooks.onStep?.(count);
    await hooks.breathe();
  }

  const weights = new Map(slots.map(({ slot, learner }) => [slot.node.name, learner.harden()]));
  const undecided = slots.reduce((sum, { learner }) => sum + learner.undecided(), 0);
  for (const { learner } of slots) learner.release();
  return { weights, scales: steps.values(), undecided };
}

/** Learned step sizes of activations: Adam with a cosine schedule, in float64. */
class StepSizes {
  readonly #unit: Unit;
  readonly #method: Method;
  readonly #scales: Map<string, number>;
  readonly #moments: ReadonlyMap<string, Moments>;
  readonly #rows: number;

  constructor(unit: Unit, method: Method, scales: ReadonlyMap<string, number>, rows: number) {
    this.#unit = unit;
    this.#rows = rows;
    this.#method = method;
    this.#scales = new Map(scales);
    this.#moments = new Map([...unit.scales.keys()].map((group) => [group, new Moments(1)]));
  }

  write(): void {
    for (const [group, scale] of this.#scales) this.#unit.writeScale(group, scale);
  }

  /** `scaled` divides the gradient by √(elements · greatest code), elements counted over the batch. Source: Esser et al. 2020 (LSQ), as in QDrop. */
  step(index: number): void {
    const { activations, schedule } = this.#method;
    if (activations.kind === "float" || this.#moments.size === 0) return;
    const rate = learningRates.cosine(activations.rate, index, schedule.iterations);
    const numbers = optimizers.adam(rate, index + 1);
    for (const [group, moments] of this.#moments) {
      const raw = this.#unit.f32[this.#unit.scales.get(group)!.ptr / 4]!;
      const factor = activations.scaled ? this.#factor(group) : 1;
      const value = Float64Array.of(this.#scales.get(group)!);
      moments.step(value, [raw * factor], numbers);
      this.#scales.set(group, Math.fround(Math.max(Math.abs(value[0]!), leastScale)));
    }
  }

  #factor(group: string): number {
    const quantizer = this.#unit.quantizers.find((each) => each.group === group)!;
    const { levels } = quantizer.encoding;
    const most = levels.kind === "linear" ? levels.hi : levels.levels.length - 1;
    return 1 / Math.sqrt(Math.max(1, this.#unit.elementsOf(quantizer.value) * this.#rows * most));
  }

  values(): Map<string, number> {
    return this.#scales;
  }
}
