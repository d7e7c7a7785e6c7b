import { readFileSync } from "node:fs";
import { describe, expect } from "vitest";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { allocate, isBig } from "../../src/graph/tensors.ts";
import type { DType, Tensor } from "../../src/graph/types.ts";
import { readModel } from "../../src/onnx/read.ts";
import { dataDir, withData } from "../data.ts";

// ONNX's quantization operators as ONNX Runtime answers them, exactly.

interface Listed {
  readonly type: DType;
  readonly shape: readonly number[];
  readonly data: readonly (number | string)[];
}

interface Case {
  readonly id: string;
  readonly model: string;
  readonly run_inputs: readonly string[];
  readonly tensors: Readonly<Record<string, Listed>>;
  readonly outputs: Readonly<Record<string, Listed>>;
}

function tensorOf({ type, shape, data }: Listed): Tensor {
  const array = allocate(type, data.length);
  data.forEach((value, i) => {
    if (isBig(array)) array[i] = BigInt(value);
    else array[i] = Number(value);
  });
  return { dtype: type, dims: shape, data: array };
}

const folder = `${dataDir}/golden/onnx`;
const files = ["quantize_linear", "dequantize_linear", "dynamic_quantize_linear", "qlinear_matmul", "qlinear_conv", "integer_ops"];

/** Runtime 1.30 departs from the format there: [480, 496) to 448 for float8e4m3fn, [61440, 65536) to NaN for float8e5m2. */
const departs: Readonly<Record<string, (x: number) => boolean>> = {
  q_float8e4m3fn_sat0: (x) => x >= 480 && x < 496,
  q_float8e5m2_sat0: (x) => x >= 61440 && x < 65536,
};

describe.each(files)("%s", (file) => {
  const cases: Case[] = dataDir ? JSON.parse(readFileSync(`${folder}/${file}.json`, "utf8")).cases : [];

  withData.for(cases.length ? cases : [{ id: "all cases" } as Case])("$id", ({ id, model, run_inputs, tensors, outputs }) => {
    const graph = readModel(new Uint8Array(readFileSync(`${folder}/${model}`)), { float16: "keep" });
    const feeds = new Map(run_inputs.map((name) => [name, tensorOf(tensors[name]!)]));
    const results = evaluateReference(graph, feeds);
    for (const [name, listed] of Object.entries(outputs)) {
      const [got, expected] = [results.get(name)!, tensorOf(listed)];
      expect(got.dims).toEqual(expected.dims);
      const excused = departs[id.replace(/^.*\//, "")];
      const scale = excused ? Number(tensors.s!.data[0]) : 1;
      const keep = (_: unknown, i: number): boolean => !excused?.(Math.abs(Number(tensors.x!.data[i])) / scale);
      expect(Array.from<number | bigint>(got.data).filter(keep)).toEqual(Array.from<number | bigint>(expected.data).filter(keep));
    }
  });
});
