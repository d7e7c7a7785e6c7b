import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readModel } from "../../src/onnx/read.ts";
import { readPlan } from "../../src/plan/reader.ts";
import { calibration, halftone, held, json, labels, pixels, temporaryFolder, text, tiny } from "./halftone.ts";

const folder = temporaryFolder();
const base = ["quantize", tiny, "--data", calibration, ...pixels, "--samples", "32", "--workers", "0"];
const bytesOf = (name: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(folder.path(name)));
const planOf = async (name: string): ReturnType<typeof readPlan> => readPlan(bytesOf(name));
/** Codes of every weight of a QDQ file; zero points have one axis at most. */
const weightCodes = (name: string): number[][] =>
  [...readModel(bytesOf(name)).constants.values()]
    .filter(({ dtype, dims }) => dtype === "int8" && dims.length > 1)
    .map(({ data }) => Array.from(data as Int8Array));

test("text says what was read, done, measured and written", async () => {
  const out = folder.path("text.halftone");
  const printed = await text([...base, "--test", held, "--limit", "64", "--labels", labels, "-o", out]);
  for (const line of [
    "model ",
    "data ",
    "graph ",
    "ranges ",
    "weights ",
    "program ",
    "test ",
    "float ",
    "integer ",
    "agreement ",
    "wrote ",
    "time ",
  ])
    expect(printed).toMatch(new RegExp(`^${line}`, "m"));
  expect(printed).toContain("32 of 512 samples");
  expect((await planOf("text.halftone")).labels).toHaveLength(10);
});

test("--json prints one object with options, accuracy and the files written", async () => {
  const outputs = ["json.halftone", "json.onnx", "json.html"].map(folder.path);
  const result = await json([...base, "--test", held, "--limit", "64", "-o", outputs[0]!, "-o", outputs[1]!, "--report", outputs[2]!]);
  expect(Object.keys(result)).toEqual(
    expect.arrayContaining(["model", "options", "samples", "accuracy", "written", "seconds", "peakBytes"]),
  );
  expect(result).toMatchObject({ model: tiny, samples: 32, options: { weights: 8, ranges: "auto", residual: "wide", seed: 0 } });
  const accuracy = result.accuracy as Record<string, unknown>;
  expect(Object.keys(accuracy)).toEqual(["samples", "top1", "top5", "agreement", "logitSqnrDb", "against"]);
  expect(accuracy.samples).toBe(64);
  const written = result.written as { path: string; bytes: number }[];
  expect(written.map(({ path }) => path)).toEqual([outputs[0], outputs[1], folder.path("json.recipe.json"), outputs[2]]);
  for (const { path, bytes } of written) expect(readFileSync(path)).toHaveLength(bytes);
  expect(folder.files().filter((name) => name.includes("partial"))).toEqual([]);
});

test("the recipe that was written gives the same bytes, and flags win over it", async () => {
  const flags = ["--weights", "int6", "--activations", "int7", "--granularity", "tensor", "--ranges", "percentile"];
  const odd = ["--residual", "codes", "--method", "nearest", "--seed", "3", "--override", "/Conv_[01]/=weights:int8,ranges:minmax"];
  await text([...base, ...flags, ...odd, "-o", folder.path("first.halftone"), "-o", folder.path("first.onnx")]);
  const recipe = folder.path("first.recipe.json");
  expect(JSON.parse(readFileSync(recipe, "utf8"))).toMatchObject({
    weights: 6,
    activations: 7,
    granularity: "tensor",
    ranges: "percentile",
    method: "nearest",
    residual: "codes",
    exclude: [],
    overrides: [{ nodes: "/Conv_[01]/", set: { weights: 8, ranges: "minmax" } }],
    samples: 32,
    seed: 3,
    preprocessing: { scale: 1 / 255, mean: [0.286], std: [0.353] },
  });
  const again = ["quantize", tiny, "--data", calibration, "--recipe", recipe, "--workers", "1"];
  await text([...again, "-o", folder.path("second.halftone"), "-o", folder.path("second.onnx")]);
  expect(bytesOf("second.halftone")).toEqual(bytesOf("first.halftone"));
  expect(bytesOf("second.onnx")).toEqual(bytesOf("first.onnx"));
  expect(bytesOf("second.recipe.json")).toEqual(bytesOf("first.recipe.json"));

  const { options } = await json([...again, "--weights", "int8", "-o", folder.path("third.halftone")]);
  expect(options).toMatchObject({ weights: 8, activations: 7, granularity: "tensor" });
});

test("an override changes the nodes it names and no others", async () => {
  await text([...base, "-o", folder.path("plain.onnx")]);
  await text([...base, "--override", "Conv_1=weights:int4", "-o", folder.path("override.onnx")]);
  const [plain, overridden] = [weightCodes("plain.onnx"), weightCodes("override.onnx")];
  const different = plain.flatMap((codes, i) => (codes.every((code, k) => code === overridden[i]![k]) ? [] : [i]));
  expect(different).toHaveLength(1);
  const codes = overridden[different[0]!]!;
  const channel = codes.length / 16;
  for (let c = 0; c < 16; c++) {
    const own = codes.slice(c * channel, (c + 1) * channel);
    expect(Math.max(...own) - Math.min(...own)).toBeLessThan(16);
  }
  expect(new Set(plain[different[0]!]).size).toBeGreaterThan(16);
});

describe("--exclude", () => {
  test("keeps nodes in float in the ONNX output", async () => {
    await text([...base, "-o", folder.path("whole.onnx")]);
    await text([...base, "--exclude", "Conv_0", "--exclude", "/Conv_[12]$/", "-o", folder.path("excluded.onnx")]);
    expect(weightCodes("excluded.onnx").length).toBe(weightCodes("whole.onnx").length - 3);
    expect(JSON.parse(readFileSync(folder.path("excluded.recipe.json"), "utf8")).exclude).toEqual(["Conv_0", "/Conv_[12]$/"]);
  });

  test.for([
    ["a plan", ["-o", "excluded.halftone"]],
    ["a test, which measures the integer program", ["--test", held, "-o", "tested.onnx"]],
  ] as const)("is refused for %s, with a reason", async ([, outputs]) => {
    const args = outputs.map((arg) => (/^\w+\.(halftone|onnx)$/.test(arg) ? folder.path(arg) : arg));
    const { code, stdout, stderr } = await halftone([...base, "--exclude", "Conv_0", ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^--exclude Conv_0: found --(output|test) .* asks for an integer program, expected a QDQ file/);
    expect(stderr).toContain("has no float layers");
  });
});

test("a preprocessor_config.json is read, what it does not say is said, and flags win over it", async () => {
  const config = folder.path("preprocessor_config.json");
  writeFileSync(
    config,
    JSON.stringify({ do_normalize: true, image_mean: [0.5], image_std: [0.25], do_rescale: true, rescale_factor: 1 / 255 }),
  );
  const args = ["quantize", tiny, "--data", calibration, "--samples", "8", "--workers", "0", "--preprocess", config];
  await halftone([...args, "--std", "0.5", "-o", folder.path("config.halftone")]);
  expect((await planOf("config.halftone")).preprocessing).toMatchObject({ scale: 1 / 255, mean: [0.5], std: [0.5] });
});

test("folders of outputs are made", async () => {
  await text([...base, "-o", folder.path("new/folder/out.halftone")]);
  expect((await readPlan(readFileSync(folder.path("new/folder/out.halftone")))).steps.length).toBeGreaterThan(0);
});
