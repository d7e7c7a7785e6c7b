import { expect, test } from "vitest";
import { substituteDim } from "../../src/graph/dims.ts";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import type { Dim, Fact, GraphNode, Tensor } from "../../src/graph/types.ts";
import { readModel } from "../../src/onnx/read.ts";
import { readTensor } from "../../src/onnx/tensor.ts";
import { operators } from "../../src/ops/registry.ts";
import { archivedCases, keptCases } from "./cases.ts";

// What inference says with less knowledge must agree with what a run makes of it.

interface Seen {
  readonly node: GraphNode;
  readonly inputs: readonly (Tensor | undefined)[];
  readonly outputs: readonly (Tensor | undefined)[];
}

/** Every node of every case with the tensors that go in and come out. */
function* nodes(): Generator<Seen> {
  const cases = archivedCases();
  for (const { files } of cases.length > 0 ? cases : keptCases()) {
    const graph = readModel(files.get("model.onnx")!, { float16: "keep" });
    const feeds = new Map(graph.inputs.map((name, i) => [name, readTensor(files.get(`test_data_set_0/input_${i}.pb`)!)]));
    const names = graph.nodes.flatMap((node) => [...node.inputs, ...node.outputs]).filter((name) => name !== "");
    const values = evaluateReference(graph, feeds, names);
    for (const node of graph.nodes)
      yield { node, inputs: node.inputs.map((name) => values.get(name)), outputs: node.outputs.map((name) => values.get(name)) };
  }
}

const symbol = (size: number): Dim => (size === 1 ? 1 : `S${size}`);
const sizes = new Map<string, Dim>(Array.from({ length: 1000 }, (_, size) => [`S${size}`, size]));

/** Kinds of partial knowledge. */
const views: Readonly<Record<string, (x: Tensor) => Fact>> = {
  "sizes only": ({ dtype, dims }) => ({ dtype, dims }),
  "ranks only": ({ dtype, dims }) => ({ dtype, dims: dims.map((_, axis) => `X${axis}`) }),
  "types only": ({ dtype }) => ({ dtype, dims: undefined }),
  "symbols for sizes": ({ dtype, dims }) => ({ dtype, dims: dims.map(symbol) }),
  "symbols for sizes, and constants": (x) =>
    x.dtype.startsWith("int") ? { ...x, constant: x } : { dtype: x.dtype, dims: x.dims.map(symbol) },
};

test.for(Object.entries(views))("inference from %s never contradicts a run", ([view, factOf]) => {
  let compared = 0;
  for (const { node, inputs, outputs } of nodes()) {
    const facts = operators.get(node.op)!.infer(
      node,
      inputs.map((x) => x && factOf(x)),
    );
    for (const [i, actual] of outputs.entries()) {
      const found = facts[i];
      if (!actual || !found) continue;
      expect(found.dtype, `${node.op} ${node.outputs[i]}`).toBe(actual.dtype);
      if (!found.dims) continue;
      const dims = found.dims.map((dim) => substituteDim(dim, sizes));
      expect(dims.length, `${view}: rank of ${node.op} ${node.outputs[i]}`).toBe(actual.dims.length);
      for (const [axis, dim] of dims.entries()) {
        if (typeof dim !== "number") continue;
        compared++;
        expect(dim, `${view}: axis ${axis} of ${node.op} ${node.outputs[i]}`).toBe(actual.dims[axis]);
      }
    }
  }
  if (view !== "types only" && view !== "ranks only") expect(compared).toBeGreaterThan(20);
});

test("contents that inference follows are those of a run", () => {
  let compared = 0;
  for (const { node, inputs, outputs } of nodes()) {
    const facts = operators.get(node.op)!.infer(
      node,
      inputs.map((x) => x && { dtype: x.dtype, dims: x.dims, constant: x }),
    );
    for (const [i, actual] of outputs.entries()) {
      const elements = facts[i]?.elements;
      if (!elements || !actual) continue;
      compared++;
      expect(elements.length).toBe(actual.data.length);
      for (const [k, element] of elements.entries())
        if (element !== undefined) expect(element, `${node.op} element ${k}`).toBe(Number(actual.data[k]));
    }
  }
  expect(compared).toBeGreaterThan(0);
});
