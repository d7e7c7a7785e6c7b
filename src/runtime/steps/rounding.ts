// The vector epilogues round all channels by one shift of at least 32 bits. A channel's own shift becomes a power of two by which
// its multiplier, and for the rest its accumulator, is multiplied first: exact as long as nothing overflows, which is checked here.
import type { Requantization } from "../../plan/types.ts";
import type { IntegerKernels } from "../kernels.ts";
import type { Address, Argument, Program } from "../program.ts";

const int32Limit = 2147483648;

export interface OneShift {
  readonly t: number;
  /** Powers of two for the accumulators. */
  readonly before: Int32Array;
  readonly multiplier: Int32Array;
}

/**
 * multiplier[c] · 2^−shifts[c] = before[c] · multiplier'[c] · 2^−t, or undefined where `before` would overflow the accumulator.
 *
 * @param shifts right shifts, in [1, 62]
 * @param bound  largest |accumulator| of channel c
 * @param least  smallest t
 */
export function oneShift(multiplier: Int32Array, shifts: Int32Array, bound: (c: number) => number, least: number): OneShift | undefined {
  let t = least;
  for (let c = 0; c < shifts.length; c++) if (multiplier[c] !== 0) t = Math.max(t, shifts[c]!);
  const before = new Int32Array(multiplier.length).fill(1);
  const scaled = Int32Array.from(multiplier);
  for (let c = 0; c < multiplier.length; c++) {
    if (multiplier[c] === 0) continue;
    let lift = t - shifts[c]!;
    for (; lift > 0 && Math.abs(scaled[c]!) < 1 << 30; lift--) scaled[c]! *= 2;
    if (lift > 30 || (lift > 0 && bound(c) * (1 << lift) >= int32Limit)) return undefined;
    before[c] = 1 << lift;
  }
  return { t, before, multiplier: scaled };
}

/** Columns of int32 per channel → [panels][columns][8], what an epilogue loads for a panel; missing channels get 0. */
export function packPanels(columns: readonly Int32Array[]): Int32Array {
  const channels = columns[0]!.length;
  const packed = new Int32Array(Math.ceil(channels / 8) * columns.length * 8);
  columns.forEach((column, i) => {
    column.forEach((v, c) => {
      packed[((c >> 3) * columns.length + i) * 8 + (c & 7)] = v;
    });
  });
  return packed;
}

export interface Requantizer {
  readonly run: IntegerKernels["requantizeAny"];
  readonly constants: Address;
  /** What the kernel takes between its constants and the zero point. */
  readonly mode: number;
}

const modes = { even: 0, single: 1, double: 2 } as const;

/** The vector kernels: t that they can round by. There is none for gemmlowp's two roundings. */
const vectors = {
  even: { kernel: "requantizeEven", least: 32, most: 62 },
  single: { kernel: "requantizeSingle", least: 33, most: 54 },
  double: undefined,
} as const;

/**
 * The kernel for y = zero + round(acc · multiplier[c] · 2^−shifts[c]), its constants packed.
 *
 * @param shifts right shifts, in [1, 62]
 * @param bound  largest |accumulator| of channel c
 */
export function requantizer(
  program: Program,
  kernels: IntegerKernels,
  rounding: keyof typeof modes,
  multiplier: Int32Array,
  shifts: Int32Array,
  bound: (c: number) => number,
): Requantizer {
  const vector = vectors[rounding];
  const uniform = vector && oneShift(multiplier, shifts, bound, vector.least);
  if (!uniform || uniform.t > vector.most)
    return { run: kernels.requantizeAny, constants: program.constant(packPanels([multiplier, shifts])), mode: modes[rounding] };
  return { run: kernels[vector.kernel], constants: program.constant(packPanels([uniform.before, uniform.multiplier])), mode: uniform.t };
}

/**
 * Epilogues saturate to int8: narrower ranges, which are rare, take a second pass over what was written.
 *
 * @param written out, pitch, pixels, channels, as in the kernel's call
 */
export function clamp(
  program: Program,
  kernels: IntegerKernels,
  { lo, hi }: Pick<Requantization, "lo" | "hi">,
  ...written: readonly [out: Argument, pitch: number, pixels: number, channels: number]
): void {
  if (lo > -128 || hi < 127) program.call(kernels.clampCodes, ...written, lo, hi);
}
