import { beforeAll, expect, test } from "vitest";
import { calibration, halftone, held, json, labels, pixels, temporaryFolder, text, tiny, unlabelled } from "./halftone.ts";

const folder = temporaryFolder();
const plan = folder.path("tiny.halftone");
const float = [tiny, ...pixels];

beforeAll(async () => {
  await text(["quantize", ...float, "--data", calibration, "--samples", "64", "--workers", "0", "--labels", labels, "-o", plan]);
});

const evaluate = (...args: string[]): Promise<Record<string, unknown>> => json(["evaluate", ...args, "--workers", "0"]);

test("a plan needs no flag but --data", async () => {
  const given = await evaluate(plan, "--data", held, "--limit", "200", ...pixels);
  expect(await evaluate(plan, "--data", held, "--limit", "200")).toEqual(given);
  expect(Object.keys(given)).toEqual(["samples", "top1", "top5"]);
  expect(given.samples).toBe(200);
  expect(given.top1).toBeGreaterThan(80);
  // Without its preprocessing the float model does worse than the plan, which remembers it.
  expect((await evaluate(tiny, "--data", held, "--limit", "200")).top1).toBeLessThan(given.top1 as number);
});

test("--against adds agreement, SQNR and the other's own accuracy", async () => {
  const result = await evaluate(plan, "--data", held, "--limit", "200", "--against", tiny);
  expect(Object.keys(result)).toEqual(["samples", "top1", "top5", "agreement", "logitSqnrDb", "against"]);
  expect(result.against).toEqual(await evaluate(...float, "--data", held, "--limit", "200").then(({ top1, top5 }) => ({ top1, top5 })));
  expect(result.agreement).toBeGreaterThan(95);
  expect(result.logitSqnrDb).toBeGreaterThan(20);
  expect(result.logitSqnrDb).toBeLessThan(60);
});

test("data without labels give agreement and SQNR alone", async () => {
  const result = await evaluate(plan, "--data", unlabelled, "--limit", "50", "--against", tiny);
  expect(Object.keys(result)).toEqual(["samples", "agreement", "logitSqnrDb"]);
});

test("a model equals itself: no noise, which JSON writes as null", async () => {
  const result = await evaluate(...float, "--data", unlabelled, "--limit", "20", "--against", tiny);
  expect(result).toEqual({ samples: 20, agreement: 100, logitSqnrDb: null });
});

test("--skip and --limit cut the samples into parts that add up", async () => {
  const right = async (...args: string[]): Promise<number> => {
    const { samples, top1 } = (await evaluate(plan, "--data", held, ...args)) as { samples: number; top1: number };
    return Math.round((samples * top1) / 100);
  };
  const [whole, first, second] = [await right("--limit", "96"), await right("--limit", "40"), await right("--skip", "40", "--limit", "56")];
  expect(first + second).toBe(whole);
});

test("--label-offset shifts labels", async () => {
  const { code, stderr } = await halftone(["evaluate", plan, "--data", held, "--limit", "50", "--label-offset", "1", "--workers", "0"]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/image \d+: found label 10, expected 0…9.*--label-offset/);
});

test("text names samples, accuracy, the other model and agreement", async () => {
  const printed = await text(["evaluate", plan, "--data", held, "--limit", "32", "--against", tiny, "--workers", "0"]);
  for (const line of ["samples ", "accuracy ", "against ", "agreement "]) expect(printed).toMatch(new RegExp(`^${line}`, "m"));
});
