// Codes of 1 bit by weights of 1 bit: what they have in common is counted, a word at a time.
import type { CodedWeights } from "../../plan/weights.ts";
import { plus } from "../program.ts";
import { shiftedBias } from "./bias.ts";
import type { Layer } from "./conv.ts";
import type { RowProducts, RowShape } from "./rows.ts";

const wordBits = 64;

/**
 * Codes of 1 bit by weights of 1 bit, x = least + b and w = l₀ + (l₁ − l₀) v: Σ x w = least Σ w + l₀ Σ b + (l₁ − l₀) Σ b v, and the sums of
 * bits are counted a word at a time.
 */
export function bits(layer: Layer, { levels, indices }: CodedWeights, { tap, inner, rows, panelPitch }: RowShape): RowProducts {
  const { program, kernels, range } = layer;
  const [least] = range;
  const [l0, l1] = levels as unknown as [number, number];
  const words = Math.ceil(inner / wordBits);
  const rowBytes = words * 8;
  const { matrix, taken } = packBits(layer, indices, tap, words);
  const weights = program.constant(matrix);
  const mask = program.constant(taken);
  const bias = program.constant(shiftedBias(layer, least));
  const packed = program.scratch(rows * rowBytes);
  const counts = program.scratch(rows * 4);
  return {
    begin: (from, pitch, count) => program.call(kernels.packBits, from, pitch, packed, count, inner, least, mask, counts),
    panels(count, p0, p1, acc) {
      const from = plus(weights, p0 * words * 64);
      program.call(kernels.gemmBits, packed, counts, words, count, from, l0, l1 - l0, plus(bias, p0 * 32), acc, panelPitch, p1 - p0);
    },
  };
}

/** uint64[panels][words][8] of a layer's indices in the order of its rows, and uint64[words] of the places that have weights. */
function packBits(
  { step, first, count, inputs }: Layer,
  indices: Uint8Array,
  tap: number,
  words: number,
): { matrix: Uint8Array; taken: Uint8Array } {
  const taps = step.window[0] * step.window[1];
  const matrix = new Uint8Array(Math.ceil(count / 8) * words * 64);
  const taken = new Uint8Array(words * 8);
  for (let t = 0; t < taps; t++) {
    for (let i = 0; i < inputs; i++) {
      const k = t * tap + i;
      const bit = 1 << (k & 7);
      taken[k >> 3]! |= bit;
      for (let o = 0; o < count; o++) {
        if (indices[((first + o) * taps + t) * inputs + i] !== 1) continue;
        const word = ((o >> 3) * words + (k >> 6)) * 8 + (o & 7);
        matrix[word * 8 + ((k & 63) >> 3)]! |= bit;
      }
    }
  }
  return { matrix, taken };
}
