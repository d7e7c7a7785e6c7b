import { statSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { calibration, held, json, pixels, resnet, temporaryFolder, text } from "./halftone.ts";

const folder = temporaryFolder();
const plan = folder.path("resnet20.halftone");

beforeAll(async () => {
  await text(["quantize", resnet, "--data", calibration, ...pixels, "--samples", "32", "--workers", "0", "-o", plan]);
});

interface StepRow {
  readonly kernel: string;
  readonly nodes: readonly string[];
  readonly accumulator?: readonly [number, number];
  readonly bytes: number;
  readonly scale: readonly number[];
  readonly epilogue?: string;
  readonly sqnrDb?: number;
}

test("a plan shows its contract, formats, scales, accumulator intervals and bytes", async () => {
  const result = await json(["inspect", plan]);
  expect(result).toMatchObject({ file: plan, version: 2, arithmetic: "halftone-integer/1", provenance: { source: "resnet20.onnx" } });
  const [border] = (result.pixels as { borders: { values: number[]; errors: number[] }[] }).borders;
  expect(border!.values).toEqual([73]);
  expect(border!.errors[0]).toBeCloseTo(73 - 0.286 * 255, 6);
  expect(result.arenaBytes).toBeGreaterThan(28 * 28 * 16);
  const steps = result.steps as StepRow[];
  const convolutions = steps.filter(({ kernel }) => kernel === "conv");
  expect(convolutions.length).toBeGreaterThanOrEqual(20);
  for (const { accumulator, scale, nodes } of convolutions) {
    const [lo, hi] = accumulator!;
    expect(lo).toBeLessThan(0);
    expect(lo).toBeGreaterThanOrEqual(-(2 ** 31));
    expect(hi).toBeLessThan(2 ** 31);
    expect(scale.every((s) => s > 0)).toBe(true);
    expect(nodes.length).toBeGreaterThan(0);
  }
  expect(convolutions.filter(({ epilogue }) => epilogue === "residual, wide")).toHaveLength(9);
  const total = steps.reduce((sum, { bytes }) => sum + bytes, 0);
  expect(total).toBe(result.constants);
  expect(total).toBeLessThan(statSync(plan).size);
});

test("the text holds the same: one line a step, the contract, memory and source", async () => {
  const printed = await text(["inspect", plan]);
  const { steps, arithmetic } = await json(["inspect", plan]);
  expect(printed).toContain(arithmetic as string);
  expect(printed).toContain("one rounding, half to even");
  expect(printed).toMatch(/^memory .* of constants, .* of activations at the peak$/m);
  expect(printed).toMatch(/^made of .*resnet20\.onnx \(sha-256 [0-9a-f]{12}…\)$/m);
  for (const [i, { accumulator, kernel }] of (steps as StepRow[]).entries()) {
    const row = printed.split("\n").find((line) => new RegExp(`^ *${i}  ${kernel} `).test(line));
    expect(row).toBeDefined();
    if (accumulator) expect(row).toContain(`${accumulator[0]} … ${accumulator[1]}`);
  }
});

test("--against shows the drift of every layer", async () => {
  const { steps } = await json(["inspect", plan, "--against", resnet, "--data", held, "--samples", "4"]);
  const drifts = (steps as StepRow[]).flatMap(({ sqnrDb }) => (sqnrDb === undefined ? [] : [sqnrDb]));
  expect(drifts.length).toBeGreaterThan(15);
  for (const drift of drifts) {
    expect(drift).toBeGreaterThan(20);
    expect(drift).toBeLessThan(60);
  }
  expect(await text(["inspect", plan, "--against", resnet, "--data", held, "--samples", "2"])).toContain("SQNR dB");
});

test("a float model shows inputs, outputs, operators, shapes and the names that --exclude takes", async () => {
  const result = await json(["inspect", resnet]);
  expect(result).toMatchObject({
    inputs: [{ name: "input", dtype: "float32", shape: "[N, 1, 28, 28]" }],
    outputs: [{ name: "logits", dtype: "float32", shape: "[N, 10]" }],
  });
  const units = result.units as { operators: string; names: string[]; parameters: number }[];
  expect(units[0]).toMatchObject({ operators: "Conv + Relu", names: ["Conv_0", "Relu_0"], parameters: 160 });
  expect(units.reduce((sum, { parameters }) => sum + parameters, 0)).toBe(271_402);
  expect(await text(["inspect", resnet])).toContain("Conv_0 + Relu_0");
});
