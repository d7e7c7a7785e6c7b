import type { Graph, GraphNode } from "../graph/types.ts";
import type { ForwardKernel } from "./types.ts";
import type { FloatKernels } from "./kernels.ts";
import type { Operator } from "../ops/operator.ts";
import { assert } from "../errors.ts";

/** One node as data: what runs it and which values it touches, by number. An absent optional value is -1. */
export interface Step {
  readonly node: GraphNode;
  readonly operator: Operator;
  /** Undefined when only the reference knows the operator. */
  readonly kernel: ForwardKernel<FloatKernels> | undefined;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Values that nobody reads after this step. */
  readonly dead: readonly number[];
}

/** A graph as a list of steps over numbered values: inputs, then constants, then results in order of execution. */
export interface Schedule {
  readonly steps: readonly Step[];
  readonly names: readonly string[];
  readonly ids: ReadonlyMap<string, number>;
  /** Graph inputs that no step reads. */
  readonly unused: readonly number[];
}

/** Numbers the values and finds where each is read last. Depends on the graph alone, never on shapes. */
export function schedule(
  graph: Graph,
  operators: ReadonlyMap<string, Operator>,
  kernels: ReadonlyMap<string, ForwardKernel<FloatKernels>>,
): Schedule {
  const names = [...graph.inputs, ...graph.constants.keys(), ...graph.nodes.flatMap((node) => node.outputs.filter(Boolean))];
  const ids = new Map(names.map((name, id) => [name, id]));
  const idOf = (name: string): number => {
    if (name === "") return -1;
    const id = ids.get(name);
    assert(id !== undefined, `value '${name}' has a producer`);
    return id;
  };
  const lastStep = new Map<number, number>();
  graph.nodes.forEach((node, index) => {
    for (const name of [...node.outputs, ...node.inputs]) {
      if (name !== "" && !graph.constants.has(name)) lastStep.set(idOf(name), index);
    }
  });
  const dead: number[][] = graph.nodes.map(() => []);
  for (const [id, index] of lastStep) dead[index]!.push(id);
  const steps = graph.nodes.map((node, index): Step => {
    const operator = operators.get(node.op);
    assert(operator, `operator ${node.op} was checked at import`);
    return {
      node,
      operator,
      kernel: kernels.get(node.op),
      inputs: node.inputs.map(idOf),
      outputs: node.outputs.map(idOf),
      dead: dead[index]!,
    };
  });
  return { steps, names, ids, unused: graph.inputs.map(idOf).filter((id) => !lastStep.has(id)) };
}
