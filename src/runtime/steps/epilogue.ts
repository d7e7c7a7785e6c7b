// How accumulators leave: a table of epilogues. Each packs its constants once and emits one call per slice of pixels and panels.
import type { Epilogue, Plan, Requantization, WideResidual } from "../../plan/types.ts";
import type { IntegerKernels } from "../kernels.ts";
import { type Address, inArena, type Program, plus } from "../program.ts";
import { type Image, image, pixelBytes, roundUp } from "./image.ts";
import { clamp, oneShift, packPanels, requantizer } from "./rounding.ts";
import { int32Tensor } from "./tensors.ts";

/** A block of accumulators int32[panels][…pixels][8]. */
export interface Block {
  readonly acc: Address;
  /** Bytes between panels. */
  readonly panelPitch: number;
  readonly firstPixel: number;
  readonly pixels: number;
  readonly firstPanel: number;
  readonly panels: number;
}

/** Everything an epilogue needs to know of its layer. */
export interface Leaving {
  readonly program: Program;
  readonly plan: Plan;
  readonly kernels: IntegerKernels;
  readonly output: Image;
  /** Output channels [first, first + count) of this group. */
  readonly first: number;
  readonly count: number;
  /** Largest |accumulator| of output channel c. */
  readonly bound: (c: number) => number;
}

export type Emit = (block: Block) => void;

/** out, pitch, pixels, channels: where a block's codes go, and how many channels are written: whole panels where the pitch has room. */
function target(to: Leaving, block: Block): readonly [out: Address, pitch: number, pixels: number, channels: number] {
  const { output, first, count } = to;
  const whole = first === 0 && count === output.channels && output.pitch % 8 === 0;
  const channels = Math.min(block.panels * 8, (whole ? roundUp(count, 8) : count) - block.firstPanel * 8);
  const element = block.firstPixel * output.pitch + first + block.firstPanel * 8;
  return [inArena(output.offset + element * output.size), pixelBytes(output), block.pixels, channels];
}

/** y = zero + round(acc · m), clamped. Also takes `double`, TensorFlow Lite's default, which plans do not use but its vectors do. */
export function requantizing(to: Leaving, r: Requantization): Emit {
  const { program, plan, kernels, first, count } = to;
  const multiplier = int32Tensor(plan, r.multiplier).slice(first, first + count);
  const shifts = int32Tensor(plan, r.shift)
    .slice(first, first + count)
    .map((s) => 31 - s);
  const { run, constants, mode } = requantizer(program, kernels, r.rounding, multiplier, shifts, (c) => to.bound(first + c));
  return (block) => {
    const written = target(to, block);
    program.call(run, block.acc, block.panelPitch, ...written, plus(constants, block.firstPanel * 64), mode, r.zero);
    clamp(program, kernels, r, ...written);
  };
}

/** 2⁶², the bound on 64-bit sums that leaves room for the rounding half. */
const sumLimit = 2147483648 * 2147483648;

/** y = zero + round_even((acc · q1 + r · q2) · 2^−bits), clamped. */
function addingResidual(to: Leaving, r: WideResidual): Emit {
  const { program, plan, kernels, first, count } = to;
  const value = plan.values[r.value]!;
  const other = image(value);
  const codes = value.type === "int8";
  const q1 = int32Tensor(plan, r.multiplier).slice(first, first + count);
  const q2 = int32Tensor(plan, r.residualMultiplier).slice(first, first + count);
  const vector = vectorResidual(to, r, q1, q2, codes ? 255 : accumulatorBound(plan, r.value), codes);
  const constants = program.constant(packPanels(vector ? [vector.q1, vector.q2] : [q1, q2]));
  return (block) => {
    const written = target(to, block);
    const element = block.firstPixel * other.pitch + first + block.firstPanel * 8;
    const residual = inArena(other.offset + element * other.size);
    const common = [block.acc, block.panelPitch, ...written, plus(constants, block.firstPanel * 64)] as const;
    if (!vector) {
      program.call(kernels.residualAny, ...common, r.bits, r.zero, residual, pixelBytes(other), r.residualZero, codes ? 0 : 1);
    } else if (codes) {
      program.call(kernels.residualCodes, ...common, vector.t, r.zero, residual, pixelBytes(other), r.residualZero, vector.lift);
    } else {
      program.call(kernels.residualAccumulators, ...common, vector.t, r.zero, residual, pixelBytes(other));
    }
    clamp(program, kernels, r, ...written);
  };
}

interface VectorResidual {
  readonly t: number;
  readonly lift: number;
  readonly q1: Int32Array;
  readonly q2: Int32Array;
}

/** The constants of the vector form, or undefined where its 32- and 64-bit bounds do not hold. */
function vectorResidual(
  to: Leaving,
  r: WideResidual,
  q1: Int32Array,
  q2: Int32Array,
  residualBound: number,
  codes: boolean,
): VectorResidual | undefined {
  const all = new Int32Array(q1.length).fill(r.bits);
  const uniform = oneShift(q1, all, (c) => to.bound(to.first + c), 32);
  const lifted = oneShift(q2, all, () => residualBound, 32);
  if (!uniform || !lifted || uniform.t !== lifted.t) return undefined;
  // Factors of 1 and more for a sum are rare.
  if (uniform.before.some((b) => b !== 1)) return undefined;
  const lift = uniform.t - r.bits;
  if (lift < 0 || lift > 30) return undefined;
  for (let c = 0; c < q1.length; c++) {
    const sum = to.bound(to.first + c) * Math.abs(q1[c]!) + residualBound * Math.abs(q2[c]!);
    if (sum * (1 << lift) >= sumLimit) return undefined;
  }
  const shared = { t: uniform.t, q1: uniform.multiplier };
  if (codes) return lift <= 22 ? { ...shared, lift, q2 } : undefined;
  return lifted.before.every((b) => b === 1) ? { ...shared, lift: 0, q2: lifted.multiplier } : undefined;
}

/** Largest |accumulator| of an int32 value: what its convolution's step promises. */
function accumulatorBound(plan: Plan, value: number): number {
  const producer = plan.steps.find((s) => s.output === value);
  return producer?.kernel === "conv" ? Math.max(Math.abs(producer.accumulator[0]), Math.abs(producer.accumulator[1])) : 2147483648;
}

function keeping(to: Leaving): Emit {
  const { program, kernels } = to;
  return (block) => {
    program.call(kernels.storeAccumulators, block.acc, block.panelPitch, ...target(to, block));
  };
}

type Row<K extends Epilogue["kind"]> = (to: Leaving, epilogue: Extract<Epilogue, { kind: K }>) => Emit;

const rows: { readonly [K in Epilogue["kind"]]: Row<K> } = {
  requantize: requantizing,
  residual: addingResidual,
  accumulator: keeping,
};

export function leave(to: Leaving, epilogue: Epilogue): Emit {
  return (rows[epilogue.kind] as (to: Leaving, epilogue: Epilogue) => Emit)(to, epilogue);
}
