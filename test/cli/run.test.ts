import { readFileSync, writeFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { encodeNpy, memorySource, readElement, readNpyHeader } from "../../src/data/index.ts";
import { createSession } from "../../src/runtime/index.ts";
import { random } from "../graph/build.ts";
import { calibration, halftone, json, pixels, temporaryFolder, text, tiny } from "./halftone.ts";

const folder = temporaryFolder();
const plan = folder.path("tiny.halftone");
const count = 3;
const size = 28 * 28;

beforeAll(async () => {
  await text(["quantize", tiny, "--data", calibration, ...pixels, "--samples", "32", "--workers", "0", "-o", plan]);
});

async function readFloats(path: string): Promise<{ dims: readonly number[]; values: number[] }> {
  const bytes = new Uint8Array(readFileSync(path));
  const { dims, dtype, dataStart } = await readNpyHeader(memorySource(path, bytes));
  expect(dtype).toBe("float32");
  const view = new DataView(bytes.buffer, dataStart);
  return { dims, values: Array.from({ length: dims.reduce((p, d) => p * d, 1) }, (_, i) => readElement(view, 4 * i, dtype)) };
}

const next = random(5);
const inputs = {
  float32: Float32Array.from({ length: count * size }, () => 2 * next()),
  int8: Int8Array.from({ length: count * size }, () => Math.floor(128 * next())),
  uint8: Uint8Array.from({ length: count * size }, () => Math.floor(128 + 128 * next())),
};

/** The bytes of numpy.save for one-byte elements. */
function bytesNpy(descr: string, dims: readonly number[], data: Uint8Array): Uint8Array {
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims.join(", ")}), }`;
  const padded = `${header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11)}\n`;
  const out = new Uint8Array(10 + padded.length + data.length);
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, padded.length & 255, padded.length >> 8]);
  out.set(new TextEncoder().encode(padded), 10);
  out.set(data, 10 + padded.length);
  return out;
}

test.for(["float32", "int8", "uint8"] as const)("%s samples give what a session gives", async (dtype) => {
  const [x, y] = [folder.path(`x-${dtype}.npy`), folder.path(`y-${dtype}.npy`)];
  const data = inputs[dtype];
  const dims = [count, 1, 28, 28];
  writeFileSync(
    x,
    dtype === "float32"
      ? encodeNpy(data as Float32Array, dims)
      : bytesNpy(dtype === "int8" ? "|i1" : "|u1", dims, new Uint8Array(data.buffer)),
  );
  const { written } = await json(["run", plan, "--input", x, "-o", y]);
  expect(written).toEqual([{ name: "logits", file: y, dims: [count, 10] }]);
  const session = await createSession(new Uint8Array(readFileSync(plan)));
  const expected = session.runBatch({ input: { dims, data } }).logits!;
  expect(await readFloats(y)).toEqual({ dims: [count, 10], values: Array.from(expected.values) });
});

test("inputs and outputs may be named, and a single sample needs no batch", async () => {
  const [x, y] = [folder.path("one.npy"), folder.path("one-y.npy")];
  writeFileSync(x, encodeNpy(inputs.float32.subarray(0, size), [1, 28, 28]));
  expect(await text(["run", plan, "-i", `input=${x}`, "-o", `logits=${y}`])).toContain("logits float32 [1, 10]");
  expect((await readFloats(y)).dims).toEqual([1, 10]);
});

test.for([
  ["too many files", ["--input", "a.npy", "--input", "b.npy"], 2, /--input b\.npy: found 2 files, expected 1: input/],
  ["another size", ["--input", "$wrong"], 1, /input 'input': found dims \[3,5\], expected \[1,28,28\]/],
  ["no array", ["--input", tiny], 1, /tiny\.onnx: found a file that does not begin with .*NUMPY.*numpy\.save/],
] as const)("%s are refused", async ([, args, expected, sentence]) => {
  writeFileSync(folder.path("wrong.npy"), encodeNpy(new Float32Array(15), [3, 5]));
  writeFileSync(folder.path("a.npy"), encodeNpy(inputs.float32, [count, 1, 28, 28]));
  const own = args.map((arg) => (arg === "$wrong" ? folder.path("wrong.npy") : arg === "a.npy" ? folder.path(arg) : arg));
  const { code, stderr } = await halftone(["run", plan, ...own, "-o", folder.path("no.npy")]);
  expect(code).toBe(expected);
  expect(stderr).toMatch(sentence);
  expect(folder.files()).not.toContain("no.npy");
});

test("bench times one file, or two in turns", async () => {
  const { results, ratio } = (await json(["bench", plan, "--against", tiny, "--rounds", "3"])) as {
    results: { file: string; bestMs: number; medianMs: number; memory: number }[];
    ratio: number;
  };
  expect(results.map(({ file }) => file)).toEqual([plan, tiny]);
  for (const { bestMs, medianMs, memory } of results) {
    expect(bestMs).toBeGreaterThan(0);
    expect(medianMs).toBeGreaterThanOrEqual(bestMs);
    expect(memory).toBeGreaterThan(0);
  }
  expect(ratio).toBeCloseTo(results[1]!.medianMs / results[0]!.medianMs, 9);
  expect(await text(["bench", plan, "--rounds", "1"])).toMatch(/^file .*best ms/m);
});
