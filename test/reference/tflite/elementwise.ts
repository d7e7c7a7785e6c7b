// Sums, products, rectifiers and changes of scale, element by element.
import { toCode } from "../../../src/ops/integer/requantize.ts";
import { hardSwishTflite, leakyReluTflite, mulTflite } from "./int8.ts";
import { activationRange, broadcast, type Case, factor, inputCodes, type Reference, tensor, typeRange } from "./case.ts";
import { rescale } from "./fixedpoint.ts";

/** Differences code − zero point of both operands at every output element. */
function differences(c: Case): [number, number][] {
  const [a, b] = [broadcast(c.input1.shape, c.output.shape), broadcast(c.input2.shape, c.output.shape)];
  return a.map((at, i) => [c.input1.data[at] + c.input1_offset, c.input2.data[b[i]!] + c.input2_offset]);
}

/** Both differences shifted left and rescaled to twice the larger scale, then their sum to the output's: three roundings. */
const sum = (sign: 1 | -1): Reference =>
  tensor((c, rounding) => {
    const unit = 2 ** c.left_shift;
    const range = activationRange(c);
    return differences(c).map(([a, b]) => {
      const total = rescale(a * unit, factor(c, "input1_"), rounding) + sign * rescale(b * unit, factor(c, "input2_"), rounding);
      return toCode(rescale(total, factor(c, "output_"), rounding), range);
    });
  });

const product = tensor((c, rounding) =>
  differences(c).map(([a, b]) => mulTflite(a, b, factor(c, "output_"), activationRange(c), rounding)),
);

const leakyRelu = tensor((c, rounding) => {
  const [positive, negative] = [factor(c, "output_", "_identity"), factor(c, "output_", "_alpha")];
  return inputCodes(c).map((x) => leakyReluTflite(x - c.input_zero_point, 1, positive, negative, c.output_zero_point, rounding));
});

const prelu = tensor((c, rounding) => {
  const slopes = broadcast(c.alpha.shape, c.output.shape);
  const [positive, negative] = [factor(c, "output_", "_1"), factor(c, "output_", "_2")];
  return inputCodes(c).map((x, i) => {
    const slope = c.alpha.data[slopes[i]!] + c.alpha_offset;
    return leakyReluTflite(x + c.input_offset, slope, positive, negative, c.output_offset, rounding);
  });
});

const hardSwish = tensor((c) => {
  const output = { multiplier: c.output_multiplier_fixedpoint_int16, exponent: c.output_multiplier_exponent };
  const reluish = { multiplier: c.reluish_multiplier_fixedpoint_int16, exponent: c.reluish_multiplier_exponent };
  return inputCodes(c).map((x) => hardSwishTflite(x - c.input_zero_point, output, reluish, c.output_zero_point));
});

const changeOfScale = tensor((c, rounding) => {
  const range = typeRange(c.output, c.output_zero_point);
  return inputCodes(c).map((x) => toCode(rescale(x - c.input_zero_point, factor(c, ""), rounding), range));
});

export const elementwise: Readonly<Record<string, Reference>> = {
  add_i8: sum(1),
  add_i16: sum(1),
  sub_i8: sum(-1),
  sub_i16: sum(-1),
  mul_i8: product,
  mul_i16: product,
  leaky_relu_i8: leakyRelu,
  prelu_i8: prelu,
  hard_swish_i8: hardSwish,
  requantize_i8_i8: changeOfScale,
  requantize_u8_i8: changeOfScale,
  requantize_i8_u8: changeOfScale,
  requantize_i16_i8: changeOfScale,
  requantize_i8_i16: changeOfScale,
  requantize_i32_i8: changeOfScale,
  requantize_i32_i16: changeOfScale,
};
