import { expect, test } from "vitest";
import { HalftoneError } from "../../src/errors.ts";
import type { Graph, Tensor } from "../../src/graph/types.ts";
import { lower } from "../../src/lower/lower.ts";
import { graphOf, int64s, node, randomTensor } from "../graph/build.ts";
import { quantizeGraph, samplesOf } from "./run.ts";

async function refusal(graph: Graph, exclude: string[] = []): Promise<HalftoneError> {
  const quantized = await quantizeGraph(graph, samplesOf(graph, 2), { exclude });
  try {
    lower(quantized);
  } catch (error) {
    expect(error).toBeInstanceOf(HalftoneError);
    return error as HalftoneError;
  }
  throw new Error("nothing was refused");
}

interface Row {
  readonly node: ReturnType<typeof node>;
  readonly dims: readonly number[];
  readonly constants?: Record<string, Tensor>;
  readonly message: string;
}

const rows: Row[] = [
  {
    node: node("y = ReduceMean(x, a)"),
    dims: [4, 8],
    constants: { a: int64s([2]) },
    message: "ReduceMean 'y': found a mean over other axes",
  },
  { node: node("y = ReduceMax(x, a)"), dims: [4, 8], constants: { a: int64s([2]) }, message: "ReduceMax 'y'" },
  {
    node: node("y = Conv(x, w)"),
    dims: [4, 8],
    constants: { w: randomTensor([3, 4, 3], 1) },
    message: "Conv 'y': found a 1-D convolution",
  },
  {
    node: node("y = Resize(x, , , s)", { mode: "linear" }),
    dims: [2, 4, 4],
    constants: { s: int64s([1, 2, 8, 8]) },
    message: "Resize 'y': found mode linear",
  },
  {
    node: node("y = Pad(x, p)", { mode: "reflect" }),
    dims: [2, 4, 4],
    constants: { p: int64s([0, 0, 1, 1, 0, 0, 1, 1]) },
    message: "Pad 'y': found mode reflect",
  },
  { node: node("y = Transpose(x)", { perm: [1, 0, 2] }), dims: [1, 4], message: "Transpose 'y': found a transposed batch axis" },
];

test.for(rows)("$message", async ({ node, dims, constants, message }) => {
  const error = await refusal(graphOf({ x: [1, ...dims] }, [node], constants));
  expect(error.code).toBe("NO_INTEGER_FORM");
  expect(error.message).toContain(message);
  expect(error.hint).toContain("--exclude y");
});

test("one error names all nodes without an integer form", async () => {
  const graph = graphOf(
    { x: ["N", 4, 8] },
    [node("a = ReduceMax(x, s)"), node("b = Relu(a)"), node("c = ReduceMax(b, s)"), node("d = MatMul(c, w)")],
    { s: int64s([2]), w: randomTensor([1, 3], 2) },
  );
  const error = await refusal(graph);
  expect(error.code).toBe("NO_INTEGER_FORM");
  expect(error.message).toContain("ReduceMax 'a'");
  expect(error.message).toContain("ReduceMax 'c'");
  expect(error.message).not.toContain("'d'");
});

test("nodes kept in float have no place in a plan", async () => {
  const graph = graphOf({ x: ["N", 8] }, [node("a = Gemm(x, v)"), node("b = Relu(a)"), node("c = Gemm(b, w)")], {
    v: randomTensor([8, 4], 1),
    w: randomTensor([4, 3], 2),
  });
  const error = await refusal(graph, ["a", "c"]);
  expect(error.code).toBe("NO_INTEGER_FORM");
  expect(error.message).toContain("'a', 'c'");
});
