import fc from "fast-check";
import { expect, test } from "vitest";
import { VarintReader, VarintWriter } from "../../src/ranges/varint.ts";

const writer = new VarintWriter();

test("numbers up to 2^53 − 1 come back, and small ones take one byte", () => {
  const numbers = fc.array(fc.oneof(fc.nat(300), fc.maxSafeNat(), fc.constantFrom(0, 127, 128, 2 ** 32, Number.MAX_SAFE_INTEGER)));
  fc.assert(
    fc.property(numbers, (values) => {
      for (const value of values) writer.write(value);
      const bytes = writer.take();
      const reader = new VarintReader(bytes);
      expect(values.map(() => reader.next())).toEqual(values);
      expect(reader.done).toBe(true);
      if (values.every((value) => value < 128)) expect(bytes.length).toBe(values.length);
    }),
  );
});

test("a sequence longer than the writer's memory is kept whole", () => {
  const count = 200_000;
  for (let i = 0; i < count; i++) writer.write(i);
  const reader = new VarintReader(writer.take());
  for (let i = 0; i < count; i++) if (reader.next() !== i) expect.unreachable();
  expect(reader.done).toBe(true);
});
