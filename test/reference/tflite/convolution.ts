// Convolutions, fully connected layers and matrix products: an exact sum of (x + input_offset)(w + filter_offset), the bias, one rescale
// per output channel, the zero point, the activation's clamp. Padded taps are skipped.
import { unpackSigned } from "../../../src/formats/packing.ts";
import { toCode } from "../../../src/ops/integer/requantize.ts";
import { eachTap, type IntegerWindow } from "../../../src/ops/integer/window.ts";
import { activationRange, broadcast, type Case, count, type Factor, type Reference, tensor, typeRange } from "./case.ts";
import { rescale, rescaleWide } from "./fixedpoint.ts";

/** Weights [O][kh][kw][I / groups] over images [N][H][W][I]. */
interface Layer {
  readonly weights: ArrayLike<number>;
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly window: readonly [number, number];
  readonly groups: number;
}

/** Accumulators [N][OH][OW][O], without the bias. Below 2⁵³, so exact. */
function convolve(c: Case, { weights, input, output, window, groups }: Layer): number[] {
  const [, height, width, channels] = input as [number, number, number, number];
  const [batch, outHeight, outWidth, outputs] = output as [number, number, number, number];
  const shape: IntegerWindow = {
    window,
    stride: [c.stride_h ?? 1, c.stride_w ?? 1],
    dilation: [c.dilation_h ?? 1, c.dilation_w ?? 1],
    pads: [c.pad_top ?? 0, c.pad_left ?? 0, c.pad_bottom ?? 0, c.pad_right ?? 0],
  };
  const inputs = channels / groups;
  const sums: number[] = [];
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        for (let o = 0; o < outputs; o++) {
          const first = Math.floor(o / (outputs / groups)) * inputs;
          let sum = 0;
          eachTap(shape, [height, width, channels], oy, ox, (y, x, ky, kx, inside) => {
            if (!inside) return;
            const pixel = ((n * height + y) * width + x) * channels + first;
            const tap = ((o * window[0] + ky) * window[1] + kx) * inputs;
            for (let i = 0; i < inputs; i++) {
              sum += (c.input.data[pixel + i] + c.input_offset) * (weights[tap + i]! + (c.filter_offset ?? 0));
            }
          });
          sums.push(sum);
        }
      }
    }
  }
  return sums;
}

/** Every input pixel adds its multiple of the filter [O][kh][kw][I] to the output. */
function convolveTransposed(c: Case): number[] {
  const [batch, height, width, channels] = c.input.shape;
  const [outputs, kh, kw] = c.filter.shape;
  const [, outHeight, outWidth] = c.output.shape;
  const sums = new Array<number>(count(c.output.shape)).fill(0);
  for (let pixel = 0; pixel < batch * height * width; pixel++) {
    const [n, y, x] = [Math.floor(pixel / (height * width)), Math.floor(pixel / width) % height, pixel % width];
    for (let tap = 0; tap < outputs * kh * kw; tap++) {
      const [o, ky, kx] = [Math.floor(tap / (kh * kw)), Math.floor(tap / kw) % kh, tap % kw];
      const [oy, ox] = [y * c.stride_h - c.pad_top + ky, x * c.stride_w - c.pad_left + kx];
      if (oy < 0 || oy >= outHeight || ox < 0 || ox >= outWidth) continue;
      for (let i = 0; i < channels; i++) {
        const product = (c.input.data[pixel * channels + i] + c.input_offset) * c.filter.data[tap * channels + i];
        sums[((n * outHeight + oy) * outWidth + ox) * outputs + o]! += product;
      }
    }
  }
  return sums;
}

/** Bias, rescale and clamp of accumulators whose last axis is the output channel; `wide` for 64-bit accumulators. */
const layer = (accumulate: (c: Case) => number[], wide = false): Reference =>
  tensor((c, rounding) => {
    const outputs = c.output.shape.at(-1) as number;
    const range = activationRange(c);
    return accumulate(c).map((sum, i) => {
      const o = i % outputs;
      const own: Factor = {
        multiplier: c.output_multiplier[o % c.output_multiplier.length],
        shift: c.output_shift[o % c.output_shift.length],
      };
      const acc = sum + (c.bias?.data[o] ?? 0);
      return toCode(wide ? rescaleWide(acc, own) : rescale(acc, own, rounding), range);
    });
  });

/** 4-bit weights are read from their packed bytes. */
const weightsOf = (c: Case): ArrayLike<number> =>
  c.filter_packed_int4 ? unpackSigned(Uint8Array.from(c.filter_packed_int4), 4, c.filter.data.length) : c.filter.data;

const conv = (c: Case): number[] => {
  const [, kh, kw] = c.filter.shape;
  return convolve(c, { weights: weightsOf(c), input: c.input.shape, output: c.output.shape, window: [kh, kw], groups: c.groups });
};

/** Filter [1][kh][kw][O]: output o reads input channel ⌊o / multiplier⌋. */
const depthwise = (c: Case): number[] => {
  const [, kh, kw, outputs] = c.filter.shape;
  const weights = Array.from({ length: kh * kw * outputs }, (_, i) => c.filter.data[(i % (kh * kw)) * outputs + Math.floor(i / (kh * kw))]);
  return convolve(c, { weights, input: c.input.shape, output: c.output.shape, window: [kh, kw], groups: c.input.shape[3] });
};

const fullyConnected = (c: Case): number[] => {
  const [outputs, k] = c.filter.shape;
  const batch = count(c.input.shape) / k;
  return convolve(c, { weights: weightsOf(c), input: [batch, 1, 1, k], output: [batch, 1, 1, outputs], window: [1, 1], groups: 1 });
};

/** [..., M, K] · [..., K, N], batches broadcast. */
const batchMatMul = tensor((c, rounding) => {
  const [m, k] = c.a.shape.slice(-2);
  const n = c.b.shape.at(-1);
  const batches = c.output.shape.slice(0, -2);
  const ofA = broadcast(c.a.shape.slice(0, -2), batches);
  const ofB = broadcast(c.b.shape.slice(0, -2), batches);
  return Array.from({ length: count(c.output.shape) }, (_, at) => {
    const [batch, row, column] = [Math.floor(at / (m * n)), Math.floor(at / n) % m, at % n];
    let sum = 0;
    for (let i = 0; i < k; i++) {
      const a = c.a.data[(ofA[batch]! * m + row) * k + i] - c.a_zero_point;
      sum += a * (c.b.data[(ofB[batch]! * k + i) * n + column] - c.b_zero_point);
    }
    const own = { multiplier: c.output_multiplier, shift: c.output_shift };
    return toCode(rescale(sum, own, rounding), typeRange(c.output, c.output_zero_point));
  });
});

export const convolutions: Readonly<Record<string, Reference>> = {
  conv2d_i8: layer(conv),
  conv2d_i8_w4: layer(conv),
  conv2d_i16_w8_b32: layer(conv),
  conv2d_i16_w8_b64: layer(conv, true),
  depthwise_conv2d_i8: layer(depthwise),
  depthwise_conv2d_i16_w8_b64: layer(depthwise, true),
  fully_connected_i8: layer(fullyConnected),
  fully_connected_i8_per_channel: layer(fullyConnected),
  fully_connected_i8_w4: layer(fullyConnected),
  fully_connected_i16_w8_b64: layer(fullyConnected, true),
  fully_connected_i16_w8_b64_per_channel: layer(fullyConnected, true),
  transpose_conv_i8: layer(convolveTransposed),
  transpose_conv_i16_w8_b64: layer(convolveTransposed, true),
  batch_matmul_i8: batchMatMul,
};
