import fc from "fast-check";
import { expect, test } from "vitest";
import { quantizeOne, signedCodes, symmetricCodes, unsignedCodes } from "../../../src/formats/linear.ts";
import { Memory } from "./memory.ts";

const memory = new Memory();
const { kernels } = memory;
const x = memory.allocate(4 * 100);
const y = memory.allocate(4 * 100);
const codes = memory.allocate(112);

const problem = fc.record({
  format: fc.constantFrom(...[2, 4, 8].flatMap((bits) => [unsignedCodes(bits), signedCodes(bits), symmetricCodes(bits)])),
  scale: fc.float({ min: Math.fround(1e-3), max: 10, noNaN: true }),
  zero: fc.nat(255),
  values: fc.array(
    fc.oneof(
      fc.float({ min: -300, max: 300, noNaN: true }),
      fc.integer({ min: -600, max: 600 }).map((half) => half / 2), // ties when the scale is 1
      fc.constantFrom(0, -0, 3.4028234663852886e38, -3.4028234663852886e38),
    ),
    { maxLength: 70 },
  ),
  unit: fc.boolean(),
});

test("quantize, dequantize and fake-quantize equal their references for any length, format and zero point", () => {
  fc.assert(
    fc.property(problem, ({ format, scale, zero, values, unit }) => {
      const { lo, hi, symmetric } = format;
      const s = unit ? 1 : scale;
      const z = symmetric ? 0 : lo + (zero % (hi - lo + 1));
      const n = values.length;
      const array = Float32Array.from(values);
      new Float32Array(memory.memory.buffer, x, n).set(array);
      new Uint8Array(memory.memory.buffer, codes, 112).fill(0xaa);

      kernels.quantizeCodes(x, codes, n, s, z, lo, hi);
      const expected = Array.from(array, (v) => quantizeOne(v, s, z, lo, hi));
      expect([...memory.bytes(codes, n)]).toEqual(expected.map((code) => code & 255));
      expect(memory.bytes(codes + n, 1)[0]).toBe(0xaa);

      const flip = hi > 127 ? 0x80 : 0;
      kernels.dequantizeCodes(codes, y, n, s, z - flip, flip);
      const values32 = expected.map((code) => Math.fround((code - z) * s));
      expect(Array.from(memory.floats(y, n), (v) => v + 0)).toEqual(values32.map((v) => v + 0));

      kernels.fakeQuantize(x, y, n, s, z, lo, hi);
      expect(Array.from(memory.floats(y, n), (v) => v + 0)).toEqual(values32.map((v) => v + 0));
      kernels.fakeQuantize(x, x, n, s, z, lo, hi);
      expect(memory.floats(x, n)).toEqual(memory.floats(y, n));
    }),
    { numRuns: 500 },
  );
});

test("fake-quantization does nothing to what it has made", () => {
  const values = Float32Array.from({ length: 50 }, (_, i) => (i - 25) * 0.37);
  new Float32Array(memory.memory.buffer, x, 50).set(values);
  kernels.fakeQuantize(x, y, 50, Math.fround(0.21), 100, 0, 255);
  kernels.fakeQuantize(y, x, 50, Math.fround(0.21), 100, 0, 255);
  expect(memory.floats(x, 50)).toEqual(memory.floats(y, 50));
});
