import fc from "fast-check";
import { expect, test } from "vitest";
import { addReach } from "../../src/ranges/reach.ts";

const problem = fc.record({
  n: fc.integer({ min: 1, max: 3 }),
  channels: fc.integer({ min: 1, max: 9 }),
  spatial: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }),
  layout: fc.constantFrom("row-major" as const, "channels-last" as const),
  before: fc.integer({ min: 0, max: 3 }),
  seed: fc.integer({ min: 1 }),
});

test("a channel's reach is the largest magnitude of its elements, in either layout and after what was seen before", () => {
  fc.assert(
    fc.property(problem, ({ n, channels, spatial, layout, before, seed }) => {
      const each = spatial.reduce((product, d) => product * d, 1);
      const memory = new Float32Array(before * 4 + n * channels * each + 4).fill(1000);
      const expected = Array.from({ length: channels }, (_, c) => c / 50);
      const into = Float32Array.from(expected);
      for (let i = 0; i < n; i++) {
        for (let c = 0; c < channels; c++) {
          for (let p = 0; p < each; p++) {
            const x = Math.fround((((i * 131 + c * 31 + p * 7) * seed) % 199) / 100 - 1);
            const at = layout === "row-major" ? (i * channels + c) * each + p : (i * each + p) * channels + c;
            memory[before * 4 + at] = x;
            expected[c] = Math.max(expected[c]!, Math.abs(x));
          }
        }
      }
      const dims = [n, channels, ...spatial];
      addReach({ ptr: before * 16, dims, layout: spatial.length === 0 ? "row-major" : layout }, memory, into);
      expect([...into]).toEqual(expected.map(Math.fround));
    }),
  );
});
