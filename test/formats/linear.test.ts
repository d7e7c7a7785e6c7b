import fc from "fast-check";
import { expect, test } from "vitest";
import type { Encoding, Granularity } from "../../src/formats/encoding.ts";
import { runsOf, scaleCount } from "../../src/formats/granularity.ts";
import {
  decodeCodes,
  encodeLinear,
  linearParameters,
  quantizeOne,
  signedCodes,
  symmetricCodes,
  unsignedCodes,
} from "../../src/formats/linear.ts";
import { golden, type GoldenTensor } from "./golden.ts";

const encoding = (lo: number, hi: number, granularity: Granularity, scale: ArrayLike<number>, zeroPoint: ArrayLike<number>): Encoding => ({
  bits: 8,
  levels: { kind: "linear", lo, hi },
  granularity,
  scale: Float32Array.from(scale),
  scaleKind: "real",
  zeroPoint: Int32Array.from(zeroPoint),
});

test.for(["fq_asym4_tensor", "fq_sym4_channel", "fq_asym2_channel1"])("%s: codes and values equal the published quantizer's", (name) => {
  const { in: input, out } = golden(name);
  const granularity: Granularity = input.axis === null ? { kind: "tensor" } : { kind: "channel", axis: input.axis };
  const own = encoding(input.qmin, input.qmax, granularity, input.scale.d, input.zero_point.d);
  const x = input.x as GoldenTensor;
  const codes = encodeLinear(Float32Array.from(x.d), x.s, own, new Int16Array(x.d.length));
  expect([...codes]).toEqual(out.codes.d);
  [...decodeCodes(codes, x.s, own)].forEach((y, i) => {
    expect(y + 0).toBeCloseTo(out.y.d[i], 6);
  });
});

test("fq_group: neighbours along an axis share a scale", () => {
  const { in: input, out } = golden("fq_group");
  const own = encoding(input.qmin, input.qmax, { kind: "group", axis: 1, size: input.group }, input.scale.d, input.zero_point.d);
  const codes = encodeLinear(Float32Array.from(input.x.d), input.x.s, own, new Int16Array(input.x.d.length));
  expect([...codes]).toEqual(out.codes.d);
});

const dims = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 });
const granularities = dims.chain((shape) =>
  fc.record({
    shape: fc.constant(shape),
    granularity: fc.oneof(
      fc.constant<Granularity>({ kind: "tensor" }),
      fc.nat(shape.length - 1).map((axis): Granularity => ({ kind: "channel", axis })),
      fc
        .tuple(fc.nat(shape.length - 1), fc.integer({ min: 1, max: 5 }))
        .map(([axis, size]): Granularity => ({ kind: "group", axis, size })),
    ),
  }),
);

test("runs visit every element once and use every scale", () => {
  fc.assert(
    fc.property(granularities, ({ shape, granularity }) => {
      const seen = new Uint8Array(shape.reduce((a, b) => a * b, 1));
      const used = new Set<number>();
      for (const { start, count, stride, index } of runsOf(shape, granularity)) {
        used.add(index);
        for (let i = 0; i < count; i++) seen[start + i * stride]!++;
      }
      expect(seen.every((times) => times === 1)).toBe(true);
      expect(used.size).toBe(scaleCount(shape, granularity));
      expect(Math.max(...used)).toBe(used.size - 1);
    }),
  );
});

const interval = fc
  .tuple(fc.float({ min: -1e3, max: 1e3, noNaN: true }), fc.float({ min: -1e3, max: 1e3, noNaN: true }))
  .map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) }));
const formats = [2, 4, 7, 8].flatMap((bits) => [unsignedCodes(bits), signedCodes(bits), symmetricCodes(bits)]);

test.for(formats)("codes $lo…$hi: zero is exact, codes survive decoding, errors are at most half a step inside", (codes) => {
  fc.assert(
    fc.property(interval, fc.float({ min: -2e3, max: 2e3, noNaN: true }), (range, x) => {
      const { scale, zeroPoint } = linearParameters(range, codes);
      expect(Math.fround(scale)).toBe(scale);
      expect(zeroPoint).toBeGreaterThanOrEqual(codes.lo);
      expect(zeroPoint).toBeLessThanOrEqual(codes.hi);
      expect(quantizeOne(0, scale, zeroPoint, codes.lo, codes.hi)).toBe(zeroPoint);
      const code = quantizeOne(x, scale, zeroPoint, codes.lo, codes.hi);
      const value = Math.fround((code - zeroPoint) * scale);
      expect(quantizeOne(value, scale, zeroPoint, codes.lo, codes.hi)).toBe(code);
      if (code > codes.lo && code < codes.hi) expect(Math.abs(value - x)).toBeLessThanOrEqual((scale / 2) * (1 + 1e-4));
    }),
  );
});

test("scaling an interval by a power of two scales s and leaves z", () => {
  fc.assert(
    fc.property(interval, (range) => {
      fc.pre(range.max - range.min > 0.01);
      const once = linearParameters(range, unsignedCodes(8));
      const scaled = linearParameters({ min: range.min * 8, max: range.max * 8 }, unsignedCodes(8));
      expect(scaled).toEqual({ scale: once.scale * 8, zeroPoint: once.zeroPoint });
    }),
  );
});

test("an interval of nothing but zero gets scale 1, and a value that is never negative zero point 0", () => {
  expect(linearParameters({ min: 0, max: 0 }, unsignedCodes(8))).toEqual({ scale: 1, zeroPoint: 0 });
  expect(linearParameters({ min: 0, max: 0 }, symmetricCodes(4))).toEqual({ scale: 1, zeroPoint: 0 });
  expect(linearParameters({ min: 0.5, max: 6 }, unsignedCodes(8)).zeroPoint).toBe(0);
});
