// Bit-exactness with TensorFlow Lite: the plain references reproduce every vector of its reference kernels, built with either rounding.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { quantizeMultiplier } from "../../src/ops/integer/requantize.ts";
import { dataDir, withData } from "../data.ts";
import type { Case, TfliteRounding } from "./tflite/case.ts";
import { convolutions } from "./tflite/convolution.ts";
import { references } from "./tflite/operators.ts";

const builds: readonly TfliteRounding[] = ["double", "single"];
const names = [...references.keys()];

function check(operator: string, rounding: TfliteRounding, cases: readonly Case[]): void {
  const { compute, expected } = references.get(operator)!;
  expect(cases.length).toBeGreaterThan(0);
  for (const each of cases) expect(compute(each, rounding), each.id).toEqual(expected(each));
}

describe.each(builds)("a few vectors of the build with %s rounding", (rounding) => {
  const sample: Record<TfliteRounding, Record<string, Case[]>> = JSON.parse(
    readFileSync(new URL("../golden/tflite.sample.json", import.meta.url), "utf8"),
  );

  test.for(names)("%s", (operator) => check(operator, rounding, (sample[rounding][operator] ?? sample.double[operator])!));
});

const folders: Readonly<Record<TfliteRounding, string>> = {
  double: `${dataDir}/golden/tflite`,
  single: `${dataDir}/golden/tflite_single_rounding`,
};

/** A build without a file of its own has the vectors of the other: its header then says that the rounding makes no difference. */
function casesOf(operator: string, rounding: TfliteRounding): readonly Case[] {
  const own = `${folders[rounding]}/${operator}.json`;
  const file = JSON.parse(readFileSync(existsSync(own) ? own : `${folders.double}/${operator}.json`, "utf8"));
  expect(file.operator).toBe(operator);
  if (rounding === "single" || file.rounding !== "independent") expect([rounding, "independent"]).toContain(file.rounding);
  return file.cases;
}

describe.each(builds)("every vector of the build with %s rounding", (rounding) => {
  withData.for(names)("%s", (operator) => check(operator, rounding, casesOf(operator, rounding)));
});

const prepared = Object.keys(convolutions).filter((operator) => operator !== "batch_matmul_i8"); // whose vectors do not give it
withData.for(prepared)("the multipliers of %s follow from its effective scales", (operator) => {
  for (const { id, effective_scale, output_multiplier, output_shift } of casesOf(operator, "double")) {
    const pairs = output_multiplier.map((multiplier: number, i: number) => ({ multiplier, shift: output_shift[i] }));
    expect(effective_scale.map(quantizeMultiplier), id).toEqual(pairs);
  }
});

withData("every file of vectors has a reference, and every reference a file", () => {
  const listed = (build: TfliteRounding): string[] =>
    readdirSync(folders[build])
      .filter((file) => file.endsWith(".json"))
      .map((file) => file.slice(0, -5));
  expect(listed("double").sort()).toEqual(names.toSorted());
  expect(names).toEqual(expect.arrayContaining(listed("single")));
});
