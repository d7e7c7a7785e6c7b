// Damaged quantized models: a program or a sentence, never a crash.
import fc from "fast-check";
import { expect, test } from "vitest";
import { HalftoneError } from "../../src/errors.ts";
import type { Attribute, Graph, GraphNode, Tensor } from "../../src/graph/types.ts";
import { lower } from "../../src/lower/lower.ts";
import { readQuantized } from "../../src/onnx/quantized.ts";
import { readModel } from "../../src/onnx/read.ts";
import { writeModel } from "../../src/onnx/write.ts";
import { checkPlan } from "../../src/plan/check.ts";
import { operatorNetwork, pairNetwork, pixelNetwork, s8s8, sparseNetwork, u8s8 } from "./networks.ts";

const networks = [operatorNetwork(u8s8), pairNetwork(s8s8), sparseNetwork(u8s8), pixelNetwork(u8s8)];

interface Damage {
  readonly at: number;
  readonly kind: "input" | "drop" | "op" | "attribute" | "constant" | "output";
  readonly by: number;
}

const damage: fc.Arbitrary<Damage> = fc.record({
  at: fc.nat(200),
  kind: fc.constantFrom("input", "drop", "op", "attribute", "constant", "output"),
  by: fc.nat(200),
});

const ops = [
  "Relu",
  "Add",
  "Concat",
  "MaxPool",
  "QuantizeLinear",
  "DequantizeLinear",
  "Transpose",
  "Softmax",
  "Identity",
  "Clip",
  "MatMul",
  "Flatten",
];
const numbers: readonly Attribute[] = [0, 1, 2, -1, 7, [1, 1], [0, 0, 1, 1], [3, 3]];

/** One edit of a graph that leaves it writable. */
function damaged(graph: Graph, { at, kind, by }: Damage): Graph {
  const i = at % graph.nodes.length;
  const node = graph.nodes[i]!;
  const values = [...graph.inputs, ...graph.constants.keys(), ...graph.nodes.flatMap(({ outputs }) => outputs)];
  const value = values[by % values.length]!;
  const set = (change: Partial<GraphNode>): Graph => ({ ...graph, nodes: graph.nodes.with(i, { ...node, ...change }) });
  switch (kind) {
    case "input":
      return node.inputs.length === 0 ? graph : set({ inputs: node.inputs.with(by % node.inputs.length, value) });
    case "drop":
      return set({ inputs: node.inputs.slice(0, -1) });
    case "op":
      return set({ op: ops[by % ops.length]! });
    case "attribute": {
      const names = [...Object.keys(node.attributes), "axis"];
      return set({ attributes: { ...node.attributes, [names[by % names.length]!]: numbers[by % numbers.length]! } });
    }
    case "constant": {
      const names = [...graph.constants.keys()];
      const name = names[at % names.length]!;
      const other = graph.constants.get(names[by % names.length]!)!;
      return { ...graph, constants: new Map<string, Tensor>([...graph.constants, [name, other]]) };
    }
    case "output":
      return { ...graph, outputs: [...new Set([...graph.outputs, value])].filter((name) => !graph.constants.has(name)) };
  }
}

test("a damaged quantized model becomes a program or is refused by name", () => {
  let programs = 0;
  let refused = 0;
  fc.assert(
    fc.property(fc.nat(networks.length - 1), fc.array(damage, { minLength: 1, maxLength: 3 }), (which, all) => {
      try {
        const file = writeModel(all.reduce(damaged, networks[which]!));
        checkPlan(lower(readQuantized(readModel(file), { source: "", sourceHash: "", options: {}, seed: 0 })));
        programs++;
      } catch (error) {
        if (!(error instanceof HalftoneError)) throw error;
        refused++;
      }
    }),
    { numRuns: Number(process.env.HALFTONE_FUZZ ?? 600), seed: 5 },
  );
  expect(programs).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(100);
});
