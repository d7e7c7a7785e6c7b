// Rounding to the nearest code: nothing is learned. Ties to even, the division exact.
import { quantizeOne } from "../../formats/linear.ts";
import type { Hardened, Parametrization, WeightGrid } from "./types.ts";

/** c = clip(rne(W/s) + z). */
export function nearestCodes({ rows, columns, values, scale, low, high, zero }: WeightGrid): Int8Array {
  const codes = new Int8Array(values.length);
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++, i++) codes[i] = quantizeOne(values[i]!, scale[r]!, 0, low[r]!, high[r]!) + zero[r]!;
  }
  return codes;
}

/** Ŵ of codes, float32. */
export function decodeRows({ rows, columns, zero }: WeightGrid, { codes, scale, levels }: Hardened): Float32Array {
  const values = new Float32Array(codes.length);
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++, i++) values[i] = (levels ? levels[codes[i]!]! : codes[i]! - zero[r]!) * scale[r]!;
  }
  return values;
}

export const nearest: Parametrization = {
  start(home, grid, { start } = {}) {
    const hardened: Hardened = start ?? { codes: nearestCodes(grid), scale: grid.scale };
    const values = decodeRows(grid, hardened);
    return {
      write: (ptr) => home.f32.set(values, ptr / 4),
      step() {},
      undecided: () => 0,
      harden: () => hardened,
      release() {},
    };
  },
};
