import fc from "fast-check";
import { expect, test } from "vitest";
import { codeHistogram } from "../../src/report/codes.ts";

const scale = { granularity: { kind: "tensor" }, scale: Float32Array.of(1), scaleKind: "real", zeroPoint: Int32Array.of(0) } as const;

test("every code is counted in its bin, in at most so many bins", () => {
  const formats = fc.constantFrom([-127, 127], [-128, 127], [-8, 7], [0, 3], [-1, 1]);
  const problem = formats.chain(([lo, hi]) =>
    fc.tuple(fc.constant([lo!, hi!] as const), fc.array(fc.integer({ min: lo!, max: hi! })), fc.integer({ min: 1, max: 80 })),
  );
  fc.assert(
    fc.property(problem, ([[lo, hi], codes, bins]) => {
      const levels = { kind: "linear", lo, hi } as const;
      const found = codeHistogram({ encoding: { bits: 8, levels, ...scale }, dims: [codes.length], codes: Int8Array.from(codes) }, bins);
      expect(found).toMatchObject({ lo, hi });
      expect(found.counts.length).toBeLessThanOrEqual(bins);
      expect(found.counts.length * found.step).toBeGreaterThanOrEqual(hi - lo + 1);
      expect(found.counts).toEqual(
        found.counts.map((_, i) => codes.filter((c) => c >= lo + i * found.step && c < lo + (i + 1) * found.step).length),
      );
    }),
  );
});

test("the codes of a table are its indices", () => {
  const levels = { kind: "table", levels: Int8Array.of(-64, -8, 0, 8, 64) } as const;
  const weight = { encoding: { bits: 3, levels, ...scale }, dims: [4], codes: Int8Array.of(0, 4, 4, 2) };
  expect(codeHistogram(weight)).toEqual({ lo: 0, hi: 4, step: 1, counts: [1, 0, 1, 0, 2] });
});
