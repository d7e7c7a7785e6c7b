import { describe, expect, test } from "vitest";
import { imageChannels, type ModelInput, modelInput, stackSamples } from "../../src/data/batch.ts";
import type { Sample } from "../../src/data/types.ts";
import type { Dim, DType, Graph } from "../../src/graph/types.ts";

const sample = (dims: readonly number[], first: number): Sample => ({
  dims,
  values: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => first + i),
  label: 0,
});
const input = (dims: readonly Dim[], batch?: number): ModelInput => ({ name: "input", dims, batch });
const places = ["a", "b", "c"];

describe("samples become one input", () => {
  test("one after the other", () => {
    const { dims, data } = stackSamples([sample([1, 2], 0), sample([1, 2], 10)], places, input([1, 2]));
    expect(dims).toEqual([2, 1, 2]);
    expect([...data]).toEqual([0, 1, 10, 11]);
  });

  test("of the model's shape where only axes of 1 differ, of their own where the model leaves a size open", () => {
    expect(stackSamples([sample([3, 1, 2], 0)], places, input([3, 2])).dims).toEqual([1, 3, 2]);
    expect(stackSamples([sample([3, 5], 0)], places, input(["channels", 5])).dims).toEqual([1, 3, 5]);
  });

  test("filled up with the last where the model insists on a batch", () => {
    const { dims, data } = stackSamples([sample([1], 1), sample([1], 7)], places, input([1], 4));
    expect(dims).toEqual([4, 1]);
    expect([...data]).toEqual([1, 7, 7, 7]);
  });

  test.each([
    ["another size", [sample([3, 4], 0)], input([3, 5]), /a: found a sample of 3×4, expected 3×5 for input 'input'/],
    ["axes in another order", [sample([4, 4, 3], 0)], input([3, 4, 4]), /expected 3×4×4/],
    ["sizes among themselves", [sample([2], 0), sample([3], 0)], input(["n"]), /b: found a sample of 3, expected 2, as a has/],
  ])("but not with %s", (_, samples, model, message) => {
    expect(() => stackSamples(samples, places, model)).toThrow(message);
  });
});

describe("a model's input", () => {
  const graph = (facts: readonly (readonly [string, DType, readonly Dim[] | undefined])[]): Graph => ({
    name: "g",
    inputs: facts.map(([name]) => name),
    outputs: [],
    nodes: [],
    constants: new Map(),
    facts: new Map(facts.map(([name, dtype, dims]) => [name, { dtype, dims }])),
    notes: new Map(),
  });

  test("has a free or a fixed batch before the sample's own axes", () => {
    expect(modelInput(graph([["x", "float32", ["N", 3, 8, 8]]]))).toEqual({ name: "x", dims: [3, 8, 8], batch: undefined });
    expect(modelInput(graph([["x", "float32", [1, 10]]]))).toEqual({ name: "x", dims: [10], batch: 1 });
  });

  test.each([
    [
      "two inputs",
      graph([
        ["x", "float32", [1]],
        ["y", "float32", [1]],
      ]),
    ],
    ["no input", graph([])],
    ["integers", graph([["x", "int64", [1, 4]]])],
    ["an unknown rank", graph([["x", "float32", undefined]])],
    ["no batch", graph([["x", "float32", []]])],
  ])("is refused with %s", (_, model) => {
    expect(() => modelInput(model)).toThrow(expect.objectContaining({ code: "INPUT_MISMATCH" }));
  });

  test("says whether pictures are grey or in colour", () => {
    expect(
      [
        [1, 8, 8],
        [3, "h", "w"],
        [4, 8, 8],
        [49, 10],
        ["c", 8, 8],
      ].map((dims) => imageChannels(dims as Dim[])),
    ).toEqual([1, 3, undefined, undefined, undefined]);
  });
});
