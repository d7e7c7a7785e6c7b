import { expect, test, vi } from "vitest";
import { planHash } from "../../src/plan/hash.ts";
import { readPlan } from "../../src/plan/reader.ts";
import type { Plan } from "../../src/plan/types.ts";
import { plansEqual, writePlan } from "../../src/plan/writer.ts";
import { randomPlan } from "./random.ts";

const plan = randomPlan(8, 10);

interface Entry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

function headerOf(file: Uint8Array): { length: number; header: Record<string, Entry> & { __metadata__: Record<string, string> } } {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  return { length, header: JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length))) };
}

test("the file is a safetensors file: strings as metadata, tensors without holes in the order of their data", async () => {
  const file = await writePlan(plan);
  const { length, header } = headerOf(file);
  expect((8 + length) % 16).toBe(0);
  expect(file[8]).toBe("{".charCodeAt(0));
  const { __metadata__, ...entries } = header;
  for (const word of Object.values(__metadata__)) expect(typeof word).toBe("string");
  const width: Record<string, number> = { I8: 1, U8: 1, I32: 4, U32: 4 };
  let next = 0;
  for (const { dtype, shape, data_offsets } of Object.values(entries)) {
    expect(data_offsets[0]).toBe(next);
    expect(data_offsets[0] % width[dtype]!).toBe(0);
    expect(data_offsets[1] - data_offsets[0]).toBe(shape.reduce((a, b) => a * b, width[dtype]!));
    next = data_offsets[1];
  }
  expect(8 + length + next).toBe(file.length);
});

test("equal plans give equal bytes, whatever the order of keys and tensors in memory", async () => {
  const shuffled = {
    ...Object.fromEntries(Object.entries(plan).reverse()),
    steps: plan.steps.map((step) => Object.fromEntries(Object.entries(step).reverse())),
    tensors: new Map([...plan.tensors].reverse()),
  } as unknown as Plan;
  expect(await writePlan(shuffled)).toEqual(await writePlan(plan));
  expect(plansEqual(shuffled, plan)).toBe(true);
});

test("provenance is kept beside the hash and left out of comparisons", async () => {
  const other = { ...plan, provenance: { source: "elsewhere" } };
  expect(plansEqual(plan, other)).toBe(true);
  const [a, b] = [headerOf(await writePlan(plan)).header, headerOf(await writePlan(other)).header];
  expect(a.__metadata__.hash).toBe(b.__metadata__.hash);
  expect((await readPlan(await writePlan(other))).provenance).toEqual({ source: "elsewhere" });
});

test("any other difference shows", () => {
  const [name, tensor] = [...plan.tensors].find(([, t]) => t.length > 0)!;
  const changed = tensor.slice();
  changed[0]! ^= 1;
  expect(plansEqual(plan, { ...plan, tensors: new Map([...plan.tensors, [name, changed]]) })).toBe(false);
  expect(plansEqual(plan, { ...plan, labels: ["other"] })).toBe(false);
});

test("tensors are views of the file", async () => {
  const file = await writePlan(plan);
  for (const tensor of (await readPlan(file)).tensors.values()) expect(tensor.buffer).toBe(file.buffer);
});

test("a file at an odd address reads the same", async () => {
  const file = await writePlan(plan);
  const odd = new Uint8Array(file.length + 3).subarray(3);
  odd.set(file);
  expect(plansEqual(await readPlan(odd), plan)).toBe(true);
});

test("so does a Buffer of Node at an odd address, whose slices share memory", async () => {
  const file = await writePlan(plan);
  const pool = Buffer.alloc(file.length + 1);
  pool.set(file, 1);
  expect(plansEqual(await readPlan(pool.subarray(1)), plan)).toBe(true);
});

test("a flipped bit in a tensor is found by the hash", async () => {
  const file = await writePlan(randomPlan(3));
  file[file.length - 1]! ^= 1;
  await expect(readPlan(file)).rejects.toThrow(/plan hash: found .*, expected .*damaged or edited/);
});

test("a flipped bit that breaks no promise is let through without verification", async () => {
  const named = { ...plan, labels: ["a"] };
  const file = await writePlan(named);
  const at = new TextDecoder().decode(file).indexOf('\\"labels\\":[\\"a\\"]') + '\\"labels\\":[\\"'.length;
  file[at]! ^= 3;
  await expect(readPlan(file)).rejects.toThrow(/plan hash/);
  expect((await readPlan(file, { verify: false })).labels).toEqual(["b"]);
});

test("every cut of a file is refused", async () => {
  const file = await writePlan(randomPlan(3, 2));
  for (let length = 0; length < file.length; length += 1 + (length >> 6))
    await expect(readPlan(file.slice(0, length)), `${length} bytes`).rejects.toThrow(/^plan (byte|header)/);
});

test.for([
  [
    "no plan at all",
    new TextEncoder().encode("PK\u0003\u0004 not a plan, but long enough to have a header"),
    /plan byte 0: found a header of \d+ bytes/,
  ],
  [
    "a header that is no JSON",
    Uint8Array.from([4, 0, 0, 0, 0, 0, 0, 0, 123, 123, 123, 123]),
    /plan byte 8: found a header that is not JSON/,
  ],
  ["a safetensors file of something else", Uint8Array.from([2, 0, 0, 0, 0, 0, 0, 0, 123, 125]), /plan __metadata__: found no 'halftone'/],
] as const)("%s is refused in one sentence", async ([, bytes, message]) => {
  await expect(readPlan(bytes)).rejects.toThrow(message);
});

test("the hash covers program, tensor table and data, each apart", async () => {
  const data = Uint8Array.of(1, 2, 3);
  const hashes = await Promise.all([
    planHash("{}", "t", data),
    planHash("{ }", "t", data),
    planHash("{}", "u", data),
    planHash("{}", "t", Uint8Array.of(1, 2, 4)),
  ]);
  expect(new Set(hashes).size).toBe(4);
});

test("the hash is the same by node:crypto and, where there is none, by crypto.subtle", async () => {
  const data = Uint8Array.from({ length: 1000 }, (_, i) => i * i);
  const own = await planHash("{}", "t", data.subarray(3));
  const none = vi.spyOn(process, "getBuiltinModule").mockReturnValue(undefined as never);
  const subtle = vi.spyOn(crypto.subtle, "digest");
  try {
    expect(await planHash("{}", "t", data.subarray(3))).toBe(own);
    expect(subtle).toHaveBeenCalled();
  } finally {
    none.mockRestore();
    subtle.mockRestore();
  }
});
