import fc from "fast-check";
import { expect, test } from "vitest";
import { isqrt, layerNormCodes, type Normalization } from "../../../src/ops/integer/norm.ts";
import { readGolden } from "../../formats/golden.ts";

const golden = readGolden("b-08_integer.json") as {
  isqrt: [n: number, root: number][];
  layernorm: { x: number[]; gamma_q12: number[]; beta_q27: number[]; s_x: number; eps: number; z_y: number; y: number[] };
};

test.for(golden.isqrt)("⌊√%d⌋ = %d", ([n, root]) => {
  expect(isqrt(BigInt(n))).toBe(BigInt(root));
});

test("isqrt is the floor of the root at every size, squares and their neighbours included", () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 1n << 62n), fc.bigInt(1n, 1n << 31n), (any, root) => {
      for (const n of [any, root * root - 1n, root * root, root * root + 1n]) {
        const found = isqrt(n);
        expect(found * found <= n && n < (found + 1n) * (found + 1n)).toBe(true);
      }
    }),
  );
});

const integersOf = (gamma: readonly number[], beta: readonly number[], scaleX: number, scaleY: number, epsilon: number): Normalization => ({
  epsilon: BigInt(Math.max(1, Math.round((epsilon * gamma.length ** 2) / scaleX ** 2))),
  gamma: Int32Array.from(gamma, (g) => Math.round((g / scaleY) * 2 ** 12)),
  beta: BigInt64Array.from(beta, (b) => BigInt(Math.round((b / scaleY) * 2 ** 27))),
  zero: 0,
  lo: -128,
  hi: 127,
});

test("layer normalization reproduces the golden codes", () => {
  const { x, gamma_q12, beta_q27, s_x, eps, z_y, y } = golden.layernorm;
  const normalization = {
    epsilon: BigInt(Math.max(1, Math.round((eps * x.length ** 2) / s_x ** 2))),
    gamma: Int32Array.from(gamma_q12),
    beta: BigInt64Array.from(beta_q27, BigInt),
    zero: z_y - 128, // unsigned codes there
    lo: -128,
    hi: 127,
  };
  expect(Array.from(layerNormCodes(Int8Array.from(x), normalization), (code) => code + 128)).toEqual(y);
});

// With fewer elements ε n² / s_x² is below 1 here and no integer stands for it.
test("layer normalization is within one code of the real one", () => {
  const row = fc.integer({ min: 32, max: 100 }).chain((n) =>
    fc.record({
      x: fc.oneof(fc.int8Array({ minLength: n, maxLength: n }), fc.int8Array({ minLength: n, maxLength: n, min: -3, max: 3 })),
      gamma: fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: n, maxLength: n }),
      beta: fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: n, maxLength: n }),
    }),
  );
  fc.assert(
    fc.property(row, ({ x, gamma, beta }) => {
      const [scaleX, scaleY, epsilon] = [0.05, 0.025, 1e-5];
      const n = x.length;
      const mean = x.reduce((a, b) => a + b, 0) / n;
      const variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
      const deviation = Math.sqrt(variance * scaleX ** 2 + epsilon);
      layerNormCodes(x, integersOf(gamma, beta, scaleX, scaleY, epsilon)).forEach((code, i) => {
        const real = (((x[i]! - mean) * scaleX) / deviation) * gamma[i]! + beta[i]!;
        expect(Math.abs(code - Math.min(127, Math.max(-128, Math.round(real / scaleY))))).toBeLessThanOrEqual(1);
      });
    }),
  );
});

test("rows are normalized on their own, and a constant row gives β", () => {
  const [x, gamma, beta] = [Int8Array.from([-128, 127, 5, 5, -128, -128]), [1, 1], [0.5, -0.5]];
  const normalization = integersOf(gamma, beta, 0.1, 0.02, 1e-5);
  const y = layerNormCodes(x, normalization);
  for (let row = 0; row < 6; row += 2) expect(y.slice(row, row + 2)).toEqual(layerNormCodes(x.slice(row, row + 2), normalization));
  expect([...y.slice(2)]).toEqual([25, -25, 25, -25]);
});
