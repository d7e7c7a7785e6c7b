import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Dataset, RawSample } from "../src/data/types.ts";
import { drawn } from "../src/draw.ts";
import { answersOf } from "../src/evaluate.ts";
import { quantize } from "../src/quantize.ts";
import { Random } from "./runtime/harness.ts";

const model = new Uint8Array(readFileSync(new URL("./fixtures/tiny.onnx", import.meta.url)));
const preprocessing = { scale: 1 / 255, mean: [0.286], std: [0.353] };
const work = {};

/** Pictures of one to four stripes of noise: the network gives them several classes, some rarely. */
function pictures(count: number): Dataset {
  const sample = (i: number): RawSample => {
    const random = new Random(i);
    const [from, to, level] = [random.between(0, 20), random.between(21, 28), random.between(20, 255)];
    const bytes = Uint8Array.from({ length: 784 }, (_, j) => (j % 28 >= from && j / 28 < to ? random.between(level >> 1, level) : 0));
    return { place: `picture ${i}`, bytes, format: { kind: "planes", dims: [1, 28, 28] }, label: -1 };
  };
  const read = async (start: number, end: number) => Array.from({ length: end - start }, (_, i) => sample(start + i));
  return { name: "pictures", length: count, labelled: false, read };
}

async function numbers(dataset: Dataset): Promise<number[]> {
  return (await dataset.read(0, dataset.length)).map(({ place }) => Number(place.split(" ")[1]));
}

const data = pictures(200);
const settings = { model, preprocessing, seed: 0 };

test("a random draw is one of its seed: each sample at most once, in the order of the data", async () => {
  const [first, again, other] = await Promise.all(
    [0, 0, 1].map(async (seed) => numbers(await drawn(data, 50, "random", { ...settings, seed }, work))),
  );
  expect(first).toEqual(again);
  expect(first).not.toEqual(other);
  expect(first).toEqual([...new Set(first)].toSorted((a, b) => a - b));
  expect(first).toHaveLength(50);
});

test("a balanced draw has as many of each class as there are, up to one", async () => {
  const answers = await answersOf(model, data, { preprocessing });
  const classes = answers.length / data.length;
  const classOf = (i: number): number => {
    const row = answers.subarray(i * classes, (i + 1) * classes);
    return row.indexOf(Math.max(...row));
  };
  const count = (samples: readonly number[]): number[] => {
    const counts = new Array<number>(classes).fill(0);
    for (const i of samples) counts[classOf(i)]!++;
    return counts;
  };
  const all = count([...Array(200).keys()]);
  expect(all.filter((n) => n > 0).length).toBeGreaterThan(2);
  const chosen = count(await numbers(await drawn(data, 60, "balanced", settings, work)));
  expect(chosen.reduce((a, b) => a + b)).toBe(60);
  const most = Math.max(...chosen);
  for (const [c, n] of chosen.entries()) expect(n).toBeGreaterThanOrEqual(Math.min(all[c]!, most - 1));
});

test("an even draw, and all of the data, need no model", async () => {
  const broken = { ...settings, model: new Uint8Array() };
  expect(await numbers(await drawn(data, 4, "even", broken, work))).toEqual([0, 50, 100, 150]);
  expect(await numbers(await drawn(data, 200, "balanced", broken, work))).toHaveLength(200);
});

test("draws make other programs", async () => {
  const input = { model, name: "tiny", dataset: data, preprocessing };
  const ranges = async (draw: "even" | "random" | "balanced"): Promise<string> => {
    const { activations } = await quantize(input, { samples: 24, draw, ranges: "minmax" });
    return JSON.stringify([...activations].map(([name, { scale }]) => [name, scale[0]]));
  };
  expect(new Set(await Promise.all([ranges("even"), ranges("random"), ranges("balanced")])).size).toBe(3);
});
