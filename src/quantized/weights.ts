import { assert } from "../errors.ts";
import { runsOf } from "../formats/granularity.ts";
import type { QuantizedWeight } from "./types.ts";

/**
 * The same weights around zero points of 0: levels c − z, which fit int8 at 7 bits and fewer, or the levels of a table. Integer kernels,
 * ONNX Runtime's too, want one zero point for all channels.
 */
export function centred(weight: QuantizedWeight): QuantizedWeight {
  const { encoding, dims, codes } = weight;
  const { levels, zeroPoint } = encoding;
  if (levels.kind === "table") return looked(weight, levels.levels);
  if (zeroPoint.every((z) => z === 0)) return weight;
  const centredCodes = new Int8Array(codes.length);
  let [lo, hi] = [0, 0];
  for (const { start, count, stride, index } of runsOf(dims, encoding.granularity)) {
    const z = zeroPoint[index]!;
    [lo, hi] = [Math.min(lo, levels.lo - z), Math.max(hi, levels.hi - z)];
    for (let i = 0, at = start; i < count; i++, at += stride) centredCodes[at] = codes[at]! - z;
  }
  assert(lo >= -128 && hi <= 127, "levels fit int8");
  return {
    dims,
    codes: centredCodes,
    encoding: { ...encoding, levels: { kind: "linear", lo, hi }, zeroPoint: new Int32Array(zeroPoint.length) },
  };
}

/** Codes of a table as its levels. */
function looked({ dims, codes, encoding }: QuantizedWeight, levels: Int8Array | Int16Array): QuantizedWeight {
  const [lo, hi] = [Math.min(...levels), Math.max(...levels)];
  assert(lo >= -128 && hi <= 127 && encoding.zeroPoint.every((z) => z === 0), "levels of weights fit int8 around 0");
  return { dims, codes: codes.map((code) => levels[code]!), encoding: { ...encoding, levels: { kind: "linear", lo, hi } } };
}
