import { readFileSync } from "node:fs";
import { gunzipSync } from "fflate";
import { expect, test } from "vitest";
import type { DType } from "../../src/graph/types.ts";
import { readTensor, writeTensor } from "../../src/onnx/tensor.ts";
import { minifloatCodes } from "../../src/onnx/minifloat.ts";
import { narrowing } from "../../src/ops/cast.ts";
import { dataDir, withData } from "../data.ts";

interface Manifest {
  readonly formats: readonly {
    readonly name: string;
    readonly file: string;
    readonly sections: readonly { readonly name: string; readonly count: number; readonly offset: number }[];
  }[];
}

/** Our names of the formats of ml_dtypes, whose tables hold every code and 14,362 float32 patterns. */
const names: readonly (readonly [string, DType])[] = [
  ["float8_e4m3fn", "float8e4m3fn"],
  ["float8_e4m3fnuz", "float8e4m3fnuz"],
  ["float8_e5m2", "float8e5m2"],
  ["float8_e5m2fnuz", "float8e5m2fnuz"],
  ["float4_e2m1fn", "float4e2m1"],
];

withData.for(names)("%s decodes and rounds as ml_dtypes does", ([name, dtype]) => {
  const folder = `${dataDir}/golden/ml_dtypes`;
  const manifest: Manifest = JSON.parse(readFileSync(`${folder}/manifest.json`, "utf8"));
  const format = manifest.formats.find((f) => f.name === name)!;
  const bytes = gunzipSync(readFileSync(`${folder}/${format.file}`));
  const section = (key: string): { offset: number; count: number } => format.sections.find((s) => s.name === key)!;
  const codes = minifloatCodes.get(dtype)!;

  const decode = section("decode");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let code = 0; code < decode.count; code++) expect(codes.read(code)).toBe(view.getFloat32(decode.offset + 4 * code, true));

  const inputs = gunzipSync(readFileSync(`${folder}/f32_inputs.bin.gz`));
  const patterns = new DataView(inputs.buffer, inputs.byteOffset);
  for (const [key, saturate] of [
    ["encode_f32", false],
    ["encode_f32_saturating", true],
  ] as const) {
    const { offset, count } = section(key);
    const narrow = narrowing(dtype, { saturate })!;
    const wrong: string[] = [];
    for (let i = 0; i < count; i++) {
      const x = patterns.getFloat32(4 * i, true);
      // ONNX maps infinity to the largest number when saturating, ml_dtypes does not; the sign of a NaN is no part of a value.
      if (Number.isNaN(x) || (saturate && Math.abs(x) === Infinity)) continue;
      const [got, expected] = [narrow(x), codes.read(bytes[offset + i]!)];
      if (!Object.is(got, expected)) wrong.push(`${x}: ${got} instead of ${expected}`);
    }
    expect(wrong.slice(0, 5)).toEqual([]);
  }
});

test("every code of a narrow float survives a file", () => {
  for (const [dtype, codes] of minifloatCodes) {
    const count = dtype === "float4e2m1" ? 16 : 256;
    const data = Float32Array.from({ length: count }, (_, code) => codes.read(code));
    const read = readTensor(writeTensor({ dtype, dims: [count], data }));
    expect(read.dtype).toBe(dtype);
    expect(Array.from(read.data as Float32Array)).toEqual(Array.from(data));
  }
});
