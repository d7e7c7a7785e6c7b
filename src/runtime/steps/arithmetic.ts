import { assert } from "../../errors.ts";
import type { AddStep, MulStep, Plan } from "../../plan/types.ts";
import type { IntegerKernels } from "../kernels.ts";
import { type Address, inArena, type PreparedStep, Program } from "../program.ts";
import { type Image, image, pixels } from "./image.ts";

/** Two operands as rows: `a` runs through `rows` rows of `n` codes, `b` advances by bPitch per row (0: the same row again). */
interface Operands {
  readonly a: Image;
  readonly b: Image;
  readonly at: readonly [a: Address, b: Address];
  readonly rows: number;
  readonly n: number;
  readonly bPitch: number;
}

/** Equal shapes, [C] over [H,W,C], or one element over everything. `swapped` when the first operand is the small one. */
function operands(
  program: Program,
  kernels: IntegerKernels,
  first: Image,
  second: Image,
  y: Image,
): Operands & { readonly swapped: boolean } {
  const swapped = pixels(first) * first.channels < pixels(second) * second.channels;
  const [a, b] = swapped ? [second, first] : [first, second];
  assert(a.size === 1 && b.size === 1 && y.size === 1, "add and mul take and give int8 codes");
  assert(pixels(a) === pixels(y) && a.channels === y.channels && a.pitch === y.pitch, "the larger operand has the shape of the output");
  const common = { a, b, swapped };
  const from = inArena(a.offset);
  const other = inArena(b.offset);
  const everything = pixels(a) * a.pitch;
  if (pixels(b) === pixels(a) && b.channels === a.channels && b.pitch === a.pitch) {
    return { ...common, at: [from, other], rows: 1, n: everything, bPitch: 0 };
  }
  if (pixels(b) === 1 && b.channels === a.channels) {
    return { ...common, at: [from, other], rows: pixels(a), n: a.pitch, bPitch: 0 };
  }
  assert(pixels(b) === 1 && b.channels === 1, "an operand is broadcast per channel or as one element");
  const row = program.scratch(a.pitch);
  program.call(kernels.splat, other, row, a.pitch);
  return { ...common, at: [from, row], rows: pixels(a), n: a.pitch, bPitch: 0 };
}

/** y = zero + round_even(((a − za)·qa + (b − zb)·qb) / 2^bits). */
export function prepareAdd(step: AddStep, plan: Plan, kernels: IntegerKernels): PreparedStep {
  const program = new Program();
  const y = image(plan.values[step.output]!);
  const [first, second] = step.inputs.map((i) => image(plan.values[i]!)) as [Image, Image];
  const { a, b, at, rows, n, bPitch, swapped } = operands(program, kernels, first, second, y);
  const [q1, q2] = step.multipliers;
  const [qa, qb] = swapped ? [q2, q1] : [q1, q2];
  // The kernel rounds by at least 32 bits: the 9-bit differences are shifted left to make up for fewer. Below 10 bits the sum of
  // two products of nonzero multipliers could need more than that shift allows.
  const t = Math.max(32, step.bits);
  assert(t - step.bits <= 22 && step.bits <= 62, "an addition's bits lie in [10, 62]");
  const out = inArena(y.offset);
  const lift = t - step.bits;
  program.call(kernels.add, ...at, out, rows, n, bPitch, a.zeroPoint, b.zeroPoint, qa, qb, t, lift, step.zero, step.lo, step.hi);
  return program;
}

/** y = zero + round_even((a − za)(b − zb) · multiplier · 2^(shift − 31)). */
export function prepareMul(step: MulStep, plan: Plan, kernels: IntegerKernels): PreparedStep {
  const program = new Program();
  const y = image(plan.values[step.output]!);
  const [first, second] = step.inputs.map((i) => image(plan.values[i]!)) as [Image, Image];
  const { a, b, at, rows, n, bPitch } = operands(program, kernels, first, second, y);
  // A factor of 2¹² and more saturates every product but 0, so larger shifts need no room.
  const bits = Math.max(31 - step.shift, 18);
  const t = Math.max(32, bits);
  const out = inArena(y.offset);
  const q = step.multiplier;
  program.call(kernels.mul, ...at, out, rows, n, bPitch, a.zeroPoint, b.zeroPoint, q, t, t - bits, step.zero, step.lo, step.hi);
  return program;
}
