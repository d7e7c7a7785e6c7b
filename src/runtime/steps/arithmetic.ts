import { assert } from "../../errors.ts";
import type { AddStep, MulStep, Plan } from "../../plan/types.ts";
import type { IntegerKernels } from "../kernels.ts";
import { type Address, inArena, type PreparedStep, Program, plus } from "../program.ts";
import { callElements, type Image, image, pixels, slices } from "./image.ts";

interface Operands {
  readonly program: Program;
  readonly a: Image;
  readonly b: Image;
  /** The first operand was the small one: a and b are exchanged. */
  readonly swapped: boolean;
  /** One call per part of the output: its addresses, rows, and codes per row. */
  readonly parts: readonly (readonly [a: Address, b: Address, out: Address, rows: number, n: number])[];
}

/** Equal shapes, [C] over [H,W,C], or one element over everything. */
function operands(step: AddStep | MulStep, plan: Plan, kernels: IntegerKernels): Operands {
  const program = new Program();
  const y = image(plan.values[step.output]!);
  const [first, second] = step.inputs.map((i) => image(plan.values[i]!)) as [Image, Image];
  const swapped = pixels(first) * first.channels < pixels(second) * second.channels;
  const [a, b] = swapped ? [second, first] : [first, second];
  assert(a.size === 1 && b.size === 1 && y.size === 1, "add and mul take and give int8 codes");
  assert(pixels(a) === pixels(y) && a.channels === y.channels && a.pitch === y.pitch, "the larger operand has the shape of the output");
  const common = { program, a, b, swapped };
  const from = inArena(a.offset);
  const out = inArena(y.offset);
  if (pixels(b) === pixels(a) && b.channels === a.channels && b.pitch === a.pitch) {
    const other = inArena(b.offset);
    const parts = slices(pixels(a) * a.pitch, callElements);
    return { ...common, parts: parts.map(([i, j]) => [plus(from, i), plus(other, i), plus(out, i), 1, j - i]) };
  }
  const row = broadcast(program, kernels, b, a);
  const parts = slices(pixels(a), Math.ceil(callElements / a.pitch));
  return { ...common, parts: parts.map(([i, j]) => [plus(from, i * a.pitch), row, plus(out, i * a.pitch), j - i, a.pitch]) };
}

/** One row of b for every pixel of a: its channels, or copies of its only element in scratch. */
function broadcast(program: Program, kernels: IntegerKernels, b: Image, a: Image): Address {
  const from = inArena(b.offset);
  if (pixels(b) === 1 && b.channels === a.channels) return from;
  assert(pixels(b) === 1 && b.channels === 1, "an operand is broadcast per channel or as one element");
  const row = program.scratch(a.pitch);
  program.call(kernels.splat, from, row, a.pitch);
  return row;
}

/** y = zero + round_even(((a − za)·qa + (b − zb)·qb) / 2^bits). */
export function prepareAdd(step: AddStep, plan: Plan, kernels: IntegerKernels): PreparedStep {
  const { program, a, b, swapped, parts } = operands(step, plan, kernels);
  const [q1, q2] = step.multipliers;
  const [qa, qb] = swapped ? [q2, q1] : [q1, q2];
  // The kernel rounds by at least 32 bits: the 9-bit differences are shifted left to make up for fewer, which int32 allows 22 times.
  const t = Math.max(32, step.bits);
  const lift = t - step.bits;
  assert(lift <= 22 && t <= 62, "an addition's bits lie in [10, 62]");
  for (const part of parts) {
    program.call(kernels.add, ...part, a.zeroPoint, b.zeroPoint, qa, qb, t, lift, step.zero, step.lo, step.hi);
  }
  return program;
}

/** y = zero + round_even((a − za)(b − zb) · multiplier · 2^(shift − 31)). */
export function prepareMul(step: MulStep, plan: Plan, kernels: IntegerKernels): PreparedStep {
  const { program, a, b, parts } = operands(step, plan, kernels);
  // A factor of 2¹² and more saturates every product but 0, so larger shifts need no room.
  const bits = Math.max(31 - step.shift, 18);
  const t = Math.max(32, bits);
  for (const part of parts) {
    program.call(kernels.mul, ...part, a.zeroPoint, b.zeroPoint, step.multiplier, t, t - bits, step.zero, step.lo, step.hi);
  }
  return program;
}
