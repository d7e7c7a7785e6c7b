// Our own QDQ files come back as the programs that they were written beside.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { convert } from "../src/convert.ts";
import { lower } from "../src/lower/lower.ts";
import { toQdq } from "../src/onnx/qdq.ts";
import { readModel } from "../src/onnx/read.ts";
import { writeModel } from "../src/onnx/write.ts";
import { plansEqual } from "../src/plan/writer.ts";
import type { QuantizeOptions } from "../src/quantized/options.ts";
import { dataDir, withData } from "./data.ts";
import { quantizeGraph, samplesOf } from "./lower/run.ts";

const example = fileURLToPath(new URL("../examples/fashion/resnet20.onnx", import.meta.url));

/** The program of a model, and that of its QDQ file. */
async function bothWays(path: string, options: Partial<QuantizeOptions> = {}): Promise<void> {
  const graph = readModel(readFileSync(path));
  const quantized = await quantizeGraph(graph, samplesOf(graph, 1), options);
  const direct = lower(quantized, { residual: "codes" });
  const converted = await convert(writeModel(toQdq(quantized)));
  for (const residual of ["wide", "codes"] as const) {
    const plan = lower(converted, { residual });
    expect(plan.steps).toEqual(direct.steps);
    expect(plan.values).toEqual(direct.values);
    expect(plansEqual(plan, direct)).toBe(true);
  }
  // What was converted can be written again: the file's codes stay.
  const again = await convert(writeModel(toQdq(converted)));
  expect(plansEqual(lower(again), direct)).toBe(true);
}

test("the program of a QDQ file of ours is the program it was written beside", () => bothWays(example));
test("per tensor", () => bothWays(example, { granularity: "tensor" }));
for (const weightZeros of ["affine", "symmetric"] as const)
  test.for([2, 4, 6])(`%s-bit ${weightZeros} weights`, (weights) => bothWays(example, { weights, weightZeros, firstLast: 0 }));
test("4-bit activations", () => bothWays(example, { activations: 4 }));
test("6-bit activations and weights", () => bothWays(example, { activations: 6, weights: 6 }));

withData.for([
  "fashion/tiny",
  "fashion/resnet20",
  "fashion/mobilenetv2",
  "cifar10/resnet20",
  "cifar10/resnet8",
  "kws/dscnn",
  "mnist/lenet",
  "mnist/cntk",
  "imagenet/mobilenetv2",
  "imagenet/squeezenet11",
])("%s comes back from its QDQ file", (model) => bothWays(`${dataDir}/${model}/model.onnx`));
