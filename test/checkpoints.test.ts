import { expect, test } from "vitest";
import { learnedParts, settledLayers } from "../src/checkpoints.ts";
import type { Checkpoint } from "../src/reconstruct/reconstruct.ts";
import { memoryStore } from "../src/tasks/store.ts";

const checkpoint: Checkpoint = {
  weights: new Map([
    ["conv", { codes: Int8Array.of(0, 3, -1), scale: Float32Array.of(0.1, 1 / 3, 1e-8) }],
    ["power", { codes: Int8Array.of(14, 7), scale: Float32Array.of(0.25), levels: Int8Array.of(-127, 0, 127) }],
  ]),
  scales: new Map([["relu", 0.1 + 0.2]]),
  undecided: 7,
};

test("a part comes back with every bit, under its number", async () => {
  const parts = learnedParts(memoryStore());
  await parts.save(3, checkpoint);
  expect(await parts.load(3)).toEqual(checkpoint);
  expect(await parts.load(2)).toBeUndefined();
});

test("a layer comes back with every bit; without a store nothing is kept", async () => {
  const result = { levels: Float64Array.of(0.1, -0, Number.NaN), moved: 3 };
  const store = memoryStore();
  await settledLayers(store).save(0, result);
  expect(await settledLayers(store).load(0)).toEqual(result);
  await settledLayers(undefined).save(0, result);
  expect(await settledLayers(undefined).load(0)).toBeUndefined();
});
