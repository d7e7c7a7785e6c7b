// Scalars of TensorFlow Lite's and gemmlowp's fixed-point arithmetic.
import { doublingHigh16, expOnNegative, logistic, oneOverOnePlus, reciprocal, tanh } from "./gemmlowp.ts";
import { doublingHigh, quantizeMultiplier, requantize, shiftAway } from "../../../src/ops/integer/requantize.ts";
import { type Factor, type Reference, rows, type TfliteRounding } from "./case.ts";

/** x · q · 2^(shift − 31); a negative multiplier is applied as minus the rescale by its magnitude. */
export function rescale(x: number, { multiplier, shift }: Factor, rounding: TfliteRounding): number {
  return multiplier < 0 ? -requantize(x, -multiplier, shift, rounding) : requantize(x, multiplier, shift, rounding);
}

/** The same for 64-bit x: the multiplier is first reduced to 16 bits, and one rounding sends halves towards +∞ in every build. |x| < 2⁴⁷. */
export function rescaleWide(x: number, { multiplier, shift }: Factor): number {
  const reduced = multiplier >= 0x7fff0000 ? 0x7fff : (multiplier + 0x8000) >> 16;
  return Number((BigInt(x) * BigInt(reduced) + (1n << BigInt(14 - shift))) >> BigInt(15 - shift));
}

const int32 = (x: number): number => Math.min(2147483647, Math.max(-2147483648, x));

/** 1 / √x as multiplier · 2^(shift − 31), by five Newton steps y ← 3y/2 − x y³/2 in Q3 from y = 1. */
export function inverseSquareRoot(x: number): Factor {
  if (x <= 1) return { multiplier: 2147483647, shift: 0 };
  let shift = -11;
  let scaled = x;
  for (; scaled >= 1 << 29; shift--) scaled = Math.floor(scaled / 4);
  const pairs = ((Math.clz32(scaled) - 1) >> 1) - 1;
  shift += pairs;
  const input = (scaled << (2 * pairs)) >> 1;
  const half = shiftAway(input, 1);
  const threeHalves = 3 << 27;
  let y = 1 << 28;
  for (let i = 0; i < 5; i++) {
    const cube = int32(doublingHigh(doublingHigh(y, y), y) * 64);
    y = int32((doublingHigh(threeHalves, y) - doublingHigh(half, cube)) * 8);
  }
  const halfRootOfTwo = 1518500250;
  const multiplier = doublingHigh(y, halfRootOfTwo);
  return shift > 0 ? { multiplier: multiplier << shift, shift: 0 } : { multiplier, shift };
}

/** Multipliers of 2³⁰ and above saturate in the single-rounding build alone. */
function quantizedMultiplier(m: number, rounding: TfliteRounding): readonly number[] {
  const large = rounding === "double" && m >= 2 ** 30;
  const { multiplier, shift } = quantizeMultiplier(large ? m * 2 ** -64 : m);
  return [multiplier, large ? shift + 64 : shift];
}

function float64OfHex(hex: string): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(`0x${hex}`));
  return view.getFloat64(0);
}

export const fixedPoint: Readonly<Record<string, Reference>> = {
  quantize_multiplier: rows(([hex], rounding) => quantizedMultiplier(float64OfHex(String(hex)), rounding), 2),
  multiply_by_quantized_multiplier_i32: rows(([x, q, shift], rounding) => requantize(x!, q!, shift!, rounding)),
  multiply_by_quantized_multiplier_i64: rows(([x, multiplier, shift]) => rescaleWide(x!, { multiplier: multiplier!, shift: shift! })),
  saturating_rounding_doubling_high_mul_i32: rows(([a, b]) => doublingHigh(a!, b!)),
  saturating_rounding_doubling_high_mul_i16: rows(([a, b]) => doublingHigh16(a!, b!)),
  rounding_divide_by_pot_i32: rows(([x, k]) => shiftAway(x!, k!)),
  gemmlowp_exp_on_negative_values_q5: rows(([x]) => expOnNegative(x!, 5)),
  gemmlowp_logistic_q4: rows(([x]) => logistic(x!)),
  gemmlowp_tanh_q4: rows(([x]) => tanh(x!)),
  gemmlowp_one_over_one_plus_x_q0: rows(([x]) => oneOverOnePlus(x!)),
  get_reciprocal_q12: rows(([x]) => {
    const { value, bits } = reciprocal(x!, 12);
    return [value, bits];
  }, 2),
  inv_sqrt_quantized_multiplier: rows(([x]) => {
    const { multiplier, shift } = inverseSquareRoot(x!);
    return [multiplier, shift];
  }, 2),
};
