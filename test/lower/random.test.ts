import fc from "fast-check";
import { expect, test } from "vitest";
import type { Graph, GraphNode, Tensor } from "../../src/graph/types.ts";
import { float32, graphOf, int64s, node, random, randomTensor } from "../graph/build.ts";
import { errorsOf } from "./run.ts";

// Networks nobody thought of: each node reads values made before it, whichever fit.

interface Made {
  readonly name: string;
  /** [C, H, W] */
  readonly dims: readonly [number, number, number];
}

class Network {
  readonly nodes: GraphNode[] = [];
  readonly constants: Record<string, Tensor> = {};
  readonly values: Made[] = [{ name: "x", dims: [6, 8, 8] }];
  readonly #next: () => number;
  #count = 0;

  constructor(seed: number) {
    this.#next = random(seed);
  }

  below(n: number): number {
    return Math.min(n - 1, Math.floor(((this.#next() + 1) / 2) * n));
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  constant(tensor: Tensor): string {
    const name = `k${this.#count++}`;
    this.constants[name] = tensor;
    return name;
  }

  weights(...dims: number[]): string {
    return this.constant(randomTensor(dims, this.below(1 << 30)));
  }

  make(dims: Made["dims"], call: string, attributes: Parameters<typeof node>[1] = {}): void {
    const name = `v${this.#count++}`;
    this.nodes.push(node(`${name} = ${call}`, attributes));
    this.values.push({ name, dims });
  }

  /** Another value of these dims, if there is one. */
  fellow({ name, dims }: Made): Made | undefined {
    return this.pick(this.values.filter((other) => String(other.dims) === String(dims) && other.name !== name));
  }

  graph(): Graph {
    const read = new Set(this.nodes.flatMap(({ inputs }) => inputs));
    const ends = this.values.filter(({ name }) => !read.has(name) && name !== "x").map(({ name }) => name);
    // Now and then a value is an output and read inside.
    if (this.nodes.length > 1 && this.below(2)) ends.push(this.nodes[0]!.outputs[0]!);
    return graphOf({ x: ["N", 6, 8, 8] }, this.nodes, this.constants, [...new Set(ends)]);
  }
}

type Step = (n: Network, from: Made) => void;

const steps: readonly Step[] = [
  (n, { name, dims: [c, h, w] }) => {
    const out = n.pick([4, 6, 8]);
    n.make([out, h, w], `Conv(${name}, ${n.weights(out, c, 3, 3)}, ${n.weights(out)})`, { pads: [1, 1, 1, 1] });
  },
  (n, { name, dims: [c, h, w] }) => n.make([c, h, w], `Conv(${name}, ${n.weights(c, c, 1, 1)})`),
  (n, { name, dims: [c, h, w] }) =>
    n.make([c, h, w], `Conv(${name}, ${n.weights(c, 1, 3, 3)}, ${n.weights(c)})`, { pads: [1, 1, 1, 1], group: c }),
  (n, { name, dims }) => n.make(dims, `Relu(${name})`),
  (n, { name, dims }) => n.make(dims, `Clip(${name}, ${n.constant(float32([], [0]))}, ${n.constant(float32([], [2]))})`),
  (n, { name, dims }) => n.make(dims, `${n.pick(["Sigmoid", "Tanh", "HardSwish", "LeakyRelu"])}(${name})`),
  (n, { name, dims }) => n.make(dims, `Mul(${name}, ${n.weights(dims[0], 1, 1)})`),
  (n, from) => {
    const other = n.fellow(from);
    if (other) n.make(from.dims, `${n.pick(["Add", "Add", "Sub", "Mul"])}(${from.name}, ${other.name})`);
  },
  (n, from) => {
    const [c, h, w] = from.dims;
    const other = n.pick(n.values.filter(({ dims }) => dims[1] === h && dims[2] === w));
    n.make([c + other.dims[0], h, w], `Concat(${from.name}, ${other.name})`, { axis: 1 });
  },
  (n, { name, dims: [c, h, w] }) => {
    if (h > 3) n.make([c, h >> 1, w >> 1], `${n.pick(["MaxPool", "AveragePool"])}(${name})`, { kernel_shape: [2, 2], strides: [2, 2] });
  },
  (n, { name, dims: [c, h, w] }) => {
    if (c > 2) n.make([c - 2, h, w], `Slice(${name}, ${n.constant(int64s([1]))}, ${n.constant(int64s([-1]))}, ${n.constant(int64s([1]))})`);
  },
  (n, { name, dims: [c, h, w] }) => n.make([c, w, h], `Transpose(${name})`, { perm: [0, 1, 3, 2] }),
];

const network = fc.record({ seed: fc.nat(1 << 30), length: fc.integer({ min: 2, max: 12 }) }).map(({ seed, length }) => {
  const n = new Network(seed);
  while (n.nodes.length < length) n.pick(steps)(n, n.pick(n.values.slice(-3)));
  return n.graph();
});

test("random networks: session, interpreter and QDQ graph agree", { timeout: 1_200_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(network, async (graph) => {
      const { qdq } = await errorsOf(graph);
      // A tie that float32 rounds the other way is a step, which sums and weights behind it may double.
      expect(qdq).toBeLessThan(4);
    }),
    { numRuns: Number(process.env.HALFTONE_RUNS ?? 30), seed: Number(process.env.HALFTONE_SEED ?? 1) },
  );
});
