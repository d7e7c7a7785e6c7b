import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { logicalStrides } from "../../src/plan/layout.ts";
import type { Plan, PlanValue } from "../../src/plan/types.ts";
import { writePlan } from "../../src/plan/writer.ts";
import { createSession, HalftoneError, type Session } from "../../src/runtime/index.ts";
import { Builder, Dice, randomPlan } from "../plan/random.ts";
import { integerModule } from "./kernels.ts";

const preprocessing = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** A plan that copies each input to an output of its own: the borders alone. */
function identity(inputs: readonly Partial<PlanValue>[], more: Partial<Plan> = {}): Plan {
  const builder = new Builder(new Dice(1));
  const ins = inputs.map((fields, i) => {
    const index = builder.value(fields.dims ?? [3, 2, 5]);
    Object.assign(builder.values[index]!, { name: `x${i}`, ...fields });
    return index;
  });
  const outs = ins.map((input, i) => {
    const value = builder.values[input]!;
    const output = builder.value(value.dims);
    Object.assign(builder.values[output]!, { name: `y${i}`, scale: value.scale, zeroPoint: value.zeroPoint });
    const [inStrides, outStrides] = [logicalStrides(value), logicalStrides(builder.values[output]!)];
    builder.steps.push({ kernel: "copy", nodes: [], input, output, dims: value.dims, inStrides, inOffset: 0, outStrides, outOffset: 0 });
    return output;
  });
  return builder.finish(ins, outs, more);
}

async function sessionOf(plan: Plan): Promise<Session> {
  return createSession(plan, { wasm: await integerModule() });
}

async function refusal(action: () => unknown): Promise<HalftoneError> {
  try {
    await action();
  } catch (error) {
    expect(error).toBeInstanceOf(HalftoneError);
    return error as HalftoneError;
  }
  throw new Error("nothing was refused");
}

test("real numbers are rounded half to even, shifted by the zero point and saturated", async () => {
  const session = await sessionOf(identity([{ dims: [10], scale: [0.5], zeroPoint: -3 }]));
  const x = Float32Array.of(0, 0.25, 0.75, -0.25, -0.75, 1, 64, 66, -62.5, -1e30);
  expect([...session.run(x).y0!.codes]).toEqual([-3, -3, -1, -3, -5, -1, 125, 127, -128, -128]);
});

test("the quotient is rounded to float32 before it is rounded to a code", async () => {
  const scale = Math.fround(0.1);
  const session = await sessionOf(identity([{ dims: [2000], scale: [scale], zeroPoint: 0 }]));
  const x = Float32Array.from({ length: 2000 }, (_, i) => Math.fround((i - 1000) * 0.0125));
  const expected = Array.from(x, (v) => {
    const q = Math.fround(v / scale);
    const down = Math.floor(q);
    const even = q - down > 0.5 || (q - down === 0.5 && Math.abs(down) % 2 === 1) ? down + 1 : down;
    return Math.max(-128, Math.min(127, even));
  });
  expect([...session.run(x).y0!.codes].map((c) => c + 0)).toEqual(expected.map((c) => c + 0));
});

test("codes pass through any layout unchanged", async () => {
  for (const [dims, order] of [
    [
      [3, 2, 5],
      [1, 2, 0],
    ],
    [
      [3, 2, 5],
      [2, 0, 1],
    ],
    [
      [7, 9],
      [1, 0],
    ],
    [[11], [0]],
    [[], []],
    [
      [2, 3, 4, 5],
      [3, 1, 0, 2],
    ],
  ] as const) {
    const plan = identity([{ dims, order, pitch: (dims as readonly number[])[order.at(-1) ?? 0] ?? 1 }]);
    const codes = new Dice(dims.length).codes((dims as readonly number[]).reduce((a, b) => a * b, 1));
    expect((await sessionOf(plan)).run({ x0: codes }).y0!.codes).toEqual(codes);
  }
});

test("bytes and images give the codes of their preprocessed numbers", async () => {
  const [height, width] = [16, 16];
  const session = await sessionOf(identity([{ dims: [3, height, width], scale: [Math.fround(0.018)], zeroPoint: -14 }], { preprocessing }));
  const planes = Uint8Array.from({ length: 3 * 256 }, (_, i) => i & 255);
  const numbers = Float32Array.from(planes, (v, i) => {
    const c = i >> 8;
    return Math.fround(Math.fround(v * preprocessing.scale) - Math.fround(preprocessing.mean[c]!)) / Math.fround(preprocessing.std[c]!);
  });
  const expected = session.run(numbers).y0!.codes;
  expect(session.run(planes).y0!.codes).toEqual(expected);
  const data = new Uint8ClampedArray(4 * 256);
  for (let i = 0; i < 256; i++) data.set([planes[i]!, planes[256 + i]!, planes[512 + i]!, 255], 4 * i);
  expect(session.run({ width, height, data }).y0!.codes).toEqual(expected);
  const two = session.run([
    { width, height, data },
    { width, height, data },
  ]).y0!;
  expect(two.dims).toEqual([2, 3, height, width]);
  expect(two.codes.subarray(768)).toEqual(expected);
});

test("a plan that takes pixels: bytes and images are copied, and normalised numbers become the bytes that they were", async () => {
  const [height, width] = [16, 16];
  const session = await sessionOf(identity([{ dims: [3, height, width], scale: [1], zeroPoint: -128 }], { preprocessing, pixels: true }));
  const planes = Uint8Array.from({ length: 3 * 256 }, (_, i) => i & 255);
  const codes = Int8Array.from(planes, (v) => v - 128);
  expect(session.run(planes).y0!.codes).toEqual(codes);
  const numbers = Float32Array.from(planes, (v, i) => {
    const c = i >> 8;
    return Math.fround(Math.fround(v * preprocessing.scale) - Math.fround(preprocessing.mean[c]!)) / Math.fround(preprocessing.std[c]!);
  });
  expect(session.run(numbers).y0!.codes).toEqual(codes);
  expect(session.run(codes).y0!.codes).toEqual(codes);
  const data = new Uint8ClampedArray(4 * 256);
  for (let i = 0; i < 256; i++) data.set([planes[i]!, planes[256 + i]!, planes[512 + i]!, 255], 4 * i);
  expect(session.run({ width, height, data }).y0!.codes).toEqual(codes);
});

test("numbers between pixels are rounded half to even and saturated; those that are not finite are refused", async () => {
  const plain = { scale: 1, mean: [0], std: [1] };
  const session = await sessionOf(identity([{ dims: [8], scale: [1], zeroPoint: -128 }], { preprocessing: plain, pixels: true }));
  const x = Float32Array.of(0.5, 1.5, 2.4, 254.5, 255.5, 1e30, -0.5, -3);
  expect([...session.run(x).y0!.codes]).toEqual([-128, -126, -126, 126, 127, 127, -128, -128]);
  const error = await refusal(() => session.run(Float32Array.of(0, 0, 0, 0, 0, Number.NaN, 0, 0)));
  expect([error.code, error.message]).toEqual(["NOT_FINITE", expect.stringMatching(/input 'x0' element 5: found NaN/)]);
});

test("signed pixels: bytes above 127 saturate", async () => {
  const given = { scale: 0.5, mean: [3], std: [2] };
  const session = await sessionOf(identity([{ dims: [4], scale: [1], zeroPoint: 0 }], { preprocessing: given, pixels: true }));
  expect([...session.run(Uint8Array.of(0, 127, 128, 255)).y0!.codes]).toEqual([0, 127, 127, 127]);
  expect([...session.run(Float32Array.of(-1.5, 0, 30.25, -33.5)).y0!.codes]).toEqual([0, 6, 127, -128]);
});

test("a grey image enters a plan of one channel", async () => {
  const session = await sessionOf(
    identity([{ dims: [1, 1, 3], scale: [1], zeroPoint: -128 }], { preprocessing: { scale: 1, mean: [0], std: [1] } }),
  );
  const data = Uint8ClampedArray.of(7, 7, 7, 0, 0, 0, 0, 0, 255, 255, 255, 0);
  expect([...session.run({ width: 3, height: 1, data }).y0!.codes]).toEqual([-121, -128, 127]);
});

test("the batch is free: one sample, a batch axis, or samples end to end", async () => {
  const session = await sessionOf(identity([{ dims: [3, 2, 5] }]));
  const codes = new Dice(9).codes(90);
  const one = session.run(codes.subarray(0, 30)).y0!;
  expect(one.dims).toEqual([3, 2, 5]);
  const three = session.run(codes).y0!;
  expect(three.dims).toEqual([3, 3, 2, 5]);
  expect(three.codes).toEqual(codes);
  expect(session.run({ dims: [3, 2, 5], data: codes.subarray(0, 30) }).y0!.dims).toEqual([3, 2, 5]);
  expect(session.run({ x0: { dims: [1, 3, 2, 5], data: codes.subarray(0, 30) } }).y0!.dims).toEqual([1, 3, 2, 5]);
  expect(session.runBatch(codes.subarray(0, 30)).y0!.dims).toEqual([1, 3, 2, 5]);
});

test("several inputs and outputs go by name, and a batch runs as its samples do", async () => {
  const plan = identity([{ dims: [3, 2, 5] }, { dims: [4], name: "data" }]);
  const session = await sessionOf(plan);
  const dice = new Dice(4);
  const [x0, data] = [dice.codes(60), dice.codes(8)];
  const both = session.run({ x0, data });
  for (const i of [0, 1]) {
    const single = session.run({ x0: x0.subarray(30 * i, 30 * i + 30), data: data.subarray(4 * i, 4 * i + 4) });
    expect(both.y0!.codes.subarray(30 * i, 30 * i + 30)).toEqual(single.y0!.codes);
    expect(both.y1!.codes.subarray(4 * i, 4 * i + 4)).toEqual(single.y1!.codes);
  }
});

test("an output's real numbers are scale times code minus zero point, per channel where it has scales", async () => {
  const plan = randomPlan(0);
  const session = await sessionOf(identity([{ dims: [4], scale: [0.25], zeroPoint: 2 }]));
  const output = session.run(Int8Array.of(2, 3, -128, 127)).y0!;
  expect(output.scale).toEqual([0.25]);
  expect(output.zeroPoint).toBe(2);
  expect([...output.values]).toEqual([0, 0.25, -32.5, 31.25]);
  expect(output.values).toBe(output.values);
  expect(plan.version).toBe(2);
});

test("int32 outputs have a scale for each channel", async () => {
  const builder = new Builder(new Dice(2));
  const x = builder.value([1, 1, 2]);
  const y = builder.value([3, 1, 2], "int32");
  Object.assign(builder.values[x]!, { name: "x" });
  Object.assign(builder.values[y]!, { name: "y", scale: [1, 0.5, 0.25] });
  builder.steps.push({
    kernel: "conv",
    nodes: [],
    input: x,
    output: y,
    window: [1, 1],
    stride: [1, 1],
    dilation: [1, 1],
    pads: [0, 0, 0, 0],
    groups: 1,
    weights: builder.tensor(Int8Array.of(1, 2, 3)),
    bias: builder.tensor(Int32Array.of(10, 20, 30)),
    epilogue: { kind: "accumulator" },
    accumulator: [-354, 411],
  });
  const { codes, values } = (await sessionOf(builder.finish([x], [y]))).run(Int8Array.of(1, -1)).y!;
  expect(codes).toEqual(Int32Array.of(11, 9, 22, 18, 33, 27));
  expect([...values]).toEqual([11, 9, 11, 9, 8.25, 6.75]);
});

test.for([
  ["nothing", (s: Session) => s.run({}), "INPUT_MISSING", /input 'x0': found nothing, expected an array of \[3,2,5\]/],
  [
    "an unknown name",
    (s: Session) => s.run({ x0: new Int8Array(30), z: new Int8Array(1) }),
    "INPUT_MISMATCH",
    /inputs: found 'z', expected 'x0'/,
  ],
  ["a wrong length", (s: Session) => s.run(new Float32Array(31)), "INPUT_MISMATCH", /found 31 elements, expected the 30 of \[3,2,5\]/],
  ["an empty array", (s: Session) => s.run(new Float32Array(0)), "INPUT_MISMATCH", /found 0 elements/],
  [
    "wrong dims",
    (s: Session) => s.run({ dims: [2, 3, 5], data: new Int8Array(30) }),
    "INPUT_MISMATCH",
    /found dims \[2,3,5\], expected \[3,2,5\], or one more/,
  ],
  [
    "dims that lie",
    (s: Session) => s.run({ dims: [2, 3, 2, 5], data: new Int8Array(30) }),
    "INPUT_MISMATCH",
    /found 30 elements, expected 60/,
  ],
  ["bytes without preprocessing", (s: Session) => s.run(new Uint8Array(30)), "INPUT_MISMATCH", /found bytes, .*no preprocessing/],
  [
    "an image of another size",
    (s: Session) => s.run({ width: 2, height: 2, data: new Uint8Array(16) }),
    "INPUT_MISMATCH",
    /image of 2×2 pixels, expected 2×5/,
  ],
  ["NaN", (s: Session) => s.run(new Float32Array(30).fill(Number.NaN, 7, 8)), "NOT_FINITE", /input 'x0' element 7: found NaN/],
  ["infinity", (s: Session) => s.run(new Float32Array(30).fill(-Infinity, 29)), "NOT_FINITE", /element 29: found -Infinity/],
  ["a plain list", (s: Session) => s.run({ x0: "1,2,3" as never }), "INPUT_MISMATCH", /found string, expected a Float32Array/],
  ["samples to trace", (s: Session) => s.trace(new Int8Array(60), () => {}), "INPUT_MISMATCH", /trace: found 2 samples/],
] as const)("%s is refused in one sentence", async ([, action, code, message]) => {
  const session = await sessionOf(identity([{ dims: [3, 2, 5] }]));
  const error = await refusal(() => action(session));
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
});

test("inputs of different batches are refused", async () => {
  const session = await sessionOf(identity([{ dims: [3] }, { dims: [4] }]));
  expect((await refusal(() => session.run({ x0: new Int8Array(6), x1: new Int8Array(4) }))).message).toMatch(
    /input 'x1': found 1 samples, expected 2/,
  );
  expect((await refusal(() => session.run(new Int8Array(3)))).message).toMatch(/inputs: found one array, expected 'x0', 'x1'/);
});

test("a plan comes from an object, bytes, a path or an address; the module from its bytes, its address or beside the package", async () => {
  const plan = identity([{ dims: [4] }]);
  const bytes = await writePlan(plan);
  const path = join(await mkdtemp(join(tmpdir(), "halftone-")), "m.halftone");
  await writeFile(path, bytes);
  const wasm = new Uint8Array(await readFile(new URL("../../build/integer.wasm", import.meta.url)));
  const codes = Int8Array.of(1, 2, 3, 4);
  for (const source of [plan, bytes, bytes.buffer as ArrayBuffer, path, pathToFileURL(path), pathToFileURL(path).href])
    for (const module of [undefined, wasm, new URL("../../build/integer.wasm", import.meta.url)])
      expect((await createSession(source, { wasm: module })).run(codes).y0!.codes).toEqual(codes);
});

test("a missing plan, a missing module and a broken module are told apart", async () => {
  const plan = identity([{ dims: [4] }]);
  expect((await refusal(() => createSession("/nowhere/m.halftone"))).code).toBe("FILE_UNREADABLE");
  expect((await refusal(() => createSession(plan, { wasm: new URL("file:///nowhere/integer.wasm") }))).code).toBe("WASM_UNAVAILABLE");
  expect((await refusal(() => createSession(plan, { wasm: Uint8Array.of(0, 1, 2) }))).code).toBe("WASM_UNAVAILABLE");
});

test("a fired signal cancels", async () => {
  expect((await refusal(() => createSession(identity([{ dims: [4] }]), { signal: AbortSignal.abort() }))).code).toBe("CANCELLED");
});

test("a disposed session refuses to run", async () => {
  const session = await sessionOf(identity([{ dims: [4] }]));
  session[Symbol.dispose]();
  expect((await refusal(() => session.run(new Int8Array(4)))).message).toMatch(/session: found a session that was disposed/);
});

test("memory is taken once, and its parts are told", async () => {
  const plan = randomPlan(12, 12);
  const session = await sessionOf(plan);
  const { arena, constants, scratch, total } = session.bytes;
  expect(arena).toBe(plan.arenaBytes);
  expect(constants).toBeGreaterThan(0);
  expect(arena + constants + scratch).toBeLessThanOrEqual(total);
  expect(total).toBeLessThan(arena + constants + scratch + 2 * 65_536);
  const inputs = Object.fromEntries(
    plan.inputs.map((i) => [plan.values[i]!.name, new Float32Array(plan.values[i]!.dims.reduce((a, b) => a * b, 1) * 5)]),
  );
  session.run(inputs);
  expect(session.bytes.total).toBe(total);
});

test("the runtime leans on plan, errors and the packing of codes alone", async () => {
  const root = new URL("../../src/", import.meta.url);
  const files = (await readdir(new URL("runtime/", root), { recursive: true })).filter((f) => f.endsWith(".ts")).map((f) => `runtime/${f}`);
  const plan = (await readdir(new URL("plan/", root))).map((f) => `plan/${f}`);
  for (const file of [...files, ...plan, "formats/packing.ts"]) {
    const text = await readFile(new URL(file, root), "utf8");
    for (const [, from] of text.matchAll(/from "([^"]+)"/g)) {
      const target = from!.startsWith(".") ? new URL(from!, new URL(file, root)).pathname.slice(root.pathname.length) : from!;
      const allowed =
        /^(runtime|plan)\/|^errors\.ts$|^formats\/packing\.ts$|^@assemblyscript\/loader$/.test(target) ||
        from!.endsWith("build/integer.js");
      expect(allowed, `${file} imports ${from}`).toBe(true);
    }
  }
});
