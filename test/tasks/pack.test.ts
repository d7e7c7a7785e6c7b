import fc from "fast-check";
import { expect, test } from "vitest";
import { pack, taskHash, unpack } from "../../src/tasks/pack.ts";
import type { Task } from "../../src/tasks/types.ts";

const key = fc.string({ unit: "grapheme", maxLength: 6 }).filter((text) => text !== "$" && text !== "__proto__");
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.string({ unit: "grapheme" }),
    fc.double(),
    fc.boolean(),
    fc.constantFrom(null, undefined, -0, Number.NaN, Number.NEGATIVE_INFINITY),
    fc.float32Array(),
    fc.uint8Array(),
    fc.float64Array(),
    fc.bigInt64Array(),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

test("plain data comes back with every bit", () => {
  fc.assert(
    fc.property(value, (data) => {
      expect(unpack(pack(data))).toEqual(data);
    }),
  );
});

test("bytes that lie anywhere are read", () => {
  const packed = pack({ numbers: Float64Array.of(1, 2, 3), more: Int16Array.of(-1) });
  for (let offset = 0; offset < 9; offset++) {
    const moved = new Uint8Array(packed.length + offset + 5);
    moved.set(packed, offset);
    expect(unpack(moved.subarray(offset, offset + packed.length))).toEqual({ numbers: Float64Array.of(1, 2, 3), more: Int16Array.of(-1) });
  }
});

test("a part of a larger memory is packed alone, and comes back as an array of its own", () => {
  const whole = Float32Array.from({ length: 100 }, (_, i) => i);
  const back = unpack(pack(whole.subarray(10, 12))) as Float32Array;
  expect([...back]).toEqual([10, 11]);
  expect(back.buffer.byteLength).toBe(8);
});

test("one value has one form: neither the order of keys nor absent fields count", () => {
  expect(pack({ a: 1, b: [2], c: undefined })).toEqual(pack({ b: [2], a: 1 }));
  expect(pack({ a: 0 })).not.toEqual(pack({ a: -0 }));
});

test.for([[() => 1], [new Date()], [new Map()], [{ $: 1 }], [10n]])("%s is our own mistake", ([data]) => {
  expect(() => pack(data)).toThrow("broken promise");
});

test("a task is named by what determines its result, and by nothing else", async () => {
  const blob = { hash: "aa", bytes: Uint8Array.of(1) };
  const task: Task = { kind: "k", options: { a: 1, b: 2 }, shared: [blob], payload: Float32Array.of(1), label: "one" };
  const name = await taskHash(task, "v1");
  expect(name).toMatch(/^[0-9a-f]{64}$/);
  expect(await taskHash({ ...task, label: "other", options: { b: 2, a: 1 } }, "v1")).toBe(name);
  const others: [Task, string][] = [
    [task, "v2"],
    [{ ...task, kind: "l" }, "v1"],
    [{ ...task, options: { a: 1, b: 3 } }, "v1"],
    [{ ...task, shared: [{ ...blob, hash: "ab" }] }, "v1"],
    [{ ...task, payload: Float32Array.of(1, 2) }, "v1"],
    [{ ...task, payload: Float64Array.of(1) }, "v1"],
  ];
  const names = await Promise.all(others.map(([each, arithmetic]) => taskHash(each, arithmetic)));
  expect(new Set([name, ...names]).size).toBe(others.length + 1);
});
