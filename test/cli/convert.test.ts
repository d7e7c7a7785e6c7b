import { readFileSync, writeFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { writeModel } from "../../src/onnx/write.ts";
import { readPlan } from "../../src/plan/reader.ts";
import { plansEqual } from "../../src/plan/writer.ts";
import { Foreign } from "../onnx/foreign.ts";
import { calibration, halftone, held, json, labels, pixels, temporaryFolder, text, tiny } from "./halftone.ts";

const folder = temporaryFolder();
const [direct, qdq] = [folder.path("direct.halftone"), folder.path("model.qdq.onnx")];

const planOf = (path: string): ReturnType<typeof readPlan> => readPlan(new Uint8Array(readFileSync(path)));

beforeAll(async () => {
  const recipe = ["--data", calibration, ...pixels, "--samples", "32", "--workers", "0", "--residual", "codes", "--labels", labels];
  await text(["quantize", tiny, ...recipe, "-o", direct, "-o", qdq]);
});

test("the program of a QDQ file is the one it was written beside, with preprocessing and labels", async () => {
  const output = folder.path("converted.halftone");
  const said = await text(["convert", qdq, ...pixels, "--labels", labels, "-o", output]);
  expect(said).toMatch(/^codes +\d+ activations · weights of \d+ layers · \d+ biases, as they are$/m);
  expect(said).toMatch(/^program +\d+ integer steps/m);
  expect(plansEqual(await planOf(output), await planOf(direct))).toBe(true);
  const accuracy = (plan: string): Promise<Record<string, unknown>> =>
    json(["evaluate", plan, "--data", held, "--limit", "64", "--workers", "0"]);
  expect((await accuracy(output)).top1).toEqual((await accuracy(direct)).top1);
});

test("--json says what was made", async () => {
  const output = folder.path("folder/again.halftone");
  const said = await json(["convert", qdq, "-o", output]);
  const plan = await planOf(output);
  expect(said).toMatchObject({ model: qdq, output, bytes: readFileSync(output).length, steps: plan.steps.length });
  expect(plan.preprocessing).toBeUndefined();
});

test("without a word on bytes, the program takes none, and convert says so", async () => {
  expect(await text(["convert", qdq, "-o", folder.path("reals.halftone")])).toMatch(/^input +real numbers or codes; for bytes, say how/m);
});

test("a float model is refused with the way out", async () => {
  const { code, stdout, stderr } = await halftone(["convert", tiny, "-o", folder.path("no.halftone")]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain("expected a quantized model. It is a float model: `halftone quantize");
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
});

test("what has no integer form is cut off where the message says", async () => {
  const g = new Foreign({ activations: "uint8", weights: "int8", perChannel: true });
  g.pair("x", { scale: 0.02, zero: 128 });
  g.convQdq("y", "x", [4, 3, 1, 1]);
  g.add("p = Softmax(y)", { axis: 1 });
  const model = folder.path("softmax.onnx");
  writeFileSync(model, writeModel(g.graph({ x: [1, 3, 4, 4] }, ["p"])));
  const output = folder.path("cut.halftone");
  const { code, stderr } = await halftone(["convert", model, "-o", output]);
  expect(code).toBe(1);
  const [, cut] = /Softmax 'p': found an input 'y' in float.*--cut (\w+)\.$/m.exec(stderr)!;
  await text(["convert", model, "--cut", cut!, "-o", output]);
  const plan = await planOf(output);
  expect(plan.outputs.map((i) => plan.values[i]!.name)).toEqual(["y"]);
});

test("another extension is a mistake of the command line", async () => {
  const { code, stderr } = await halftone(["convert", qdq, "-o", folder.path("out.onnx")]);
  expect(code).toBe(2);
  expect(stderr).toContain("expected .halftone (an integer program)");
});
