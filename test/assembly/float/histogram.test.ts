import fc from "fast-check";
import { expect, test } from "vitest";
import { Counter } from "../../../src/ranges/counter.ts";
import { Histogram } from "../../../src/ranges/histogram.ts";
import { Memory } from "./memory.ts";

const memory = new Memory();
const counter = new Counter(memory);
const space = memory.allocate(4 * 300);

function counted(values: Float32Array, offset = 0): Histogram {
  const histogram = new Histogram();
  new Float32Array(memory.memory.buffer, space + offset, values.length).set(values);
  counter.count(space + offset, values.length, histogram);
  return histogram;
}

function plain(values: Float32Array): Histogram {
  const histogram = new Histogram();
  histogram.add(values);
  return histogram;
}

const finite = fc.oneof(
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, -0, 2 ** -149, -(2 ** -149), 3.4028234663852886e38),
);

test("counting in linear memory equals the plain reference for any length", () => {
  fc.assert(
    fc.property(fc.array(finite, { maxLength: 200 }), (values) => {
      const array = Float32Array.from(values);
      expect(Buffer.compare(counted(array).serialize(), plain(array).serialize())).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test("a counter starts clean for each histogram, and adds to one that has members", () => {
  const histogram = counted(Float32Array.of(1, 2, 3));
  new Float32Array(memory.memory.buffer, space, 2).set([-7, 0]);
  counter.count(space, 2, histogram);
  expect(histogram.serialize()).toEqual(plain(Float32Array.of(1, 2, 3, -7, 0)).serialize());
});

test("NaN and infinities are counted as bad, in every lane and in the rest", () => {
  const bad = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let at = 0; at < 6; at++) {
    for (const x of bad) {
      const values = new Float32Array(6).fill(1);
      values[at] = x;
      const histogram = counted(values);
      expect([histogram.bad, histogram.count]).toEqual([1, 5]);
    }
  }
});

test("more values than a counter's 24 bits hold are counted exactly", () => {
  const own = new Memory();
  const n = 2 ** 24 + 2 ** 22 + 5;
  const ptr = own.allocate(4 * n);
  const value = Math.fround(1 + 65535 / 2 ** 23); // the largest low bits
  new Float32Array(own.memory.buffer, ptr, n).fill(value);
  const histogram = new Histogram();
  new Counter(own).count(ptr, n, histogram);
  expect(histogram.count).toBe(n);
  expect([...histogram.buckets()].map(({ count, mean }) => [count, mean])).toEqual([[n, value]]);
});
