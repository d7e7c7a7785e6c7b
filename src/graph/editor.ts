// A graph under rewriting: who makes a value, who reads it, and the few edits that every rewrite is made of.

import { assert } from "../errors.ts";
import { factOfConstant, inferNode } from "./infer.ts";
import { sortNodes } from "./order.ts";
import type { Fact, Graph, GraphNode, Rewrite, Tensor } from "./types.ts";

/**
 * Facts, producers and readers are kept right after every edit; order is restored and dead code dropped by `finish`.
 * The graph's inputs and outputs keep their names whatever is edited.
 */
export class Editor {
  readonly #graph: Graph;
  readonly #outputs: ReadonlySet<string>;
  /** Each node of the original graph, or what stands in its place; the place keeps the order. */
  readonly #slots: GraphNode[][];
  readonly #slotOf = new Map<GraphNode, number>();
  readonly #producers = new Map<string, GraphNode>();
  readonly #readers = new Map<string, Set<GraphNode>>();
  readonly #constants: Map<string, Tensor>;
  readonly #facts: Map<string, Fact>;
  readonly #notes: Map<string, Readonly<Record<string, Tensor>>>;
  #changed = false;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#outputs = new Set(graph.outputs);
    this.#slots = graph.nodes.map((node) => [node]);
    this.#constants = new Map(graph.constants);
    this.#facts = new Map(graph.facts);
    this.#notes = new Map(graph.notes);
    graph.nodes.forEach((node, slot) => {
      this.#link(node, slot);
    });
  }

  /** True while the node has not been replaced. */
  has(node: GraphNode): boolean {
    return this.#slotOf.has(node);
  }

  producer(value: string | undefined): GraphNode | undefined {
    return this.#producers.get(value ?? "");
  }

  readers(value: string | undefined): readonly GraphNode[] {
    return [...(this.#readers.get(value ?? "") ?? [])];
  }

  isOutput(value: string | undefined): boolean {
    return this.#outputs.has(value ?? "");
  }

  /** The one node that reads the value, when nobody else sees it. */
  onlyReader(value: string | undefined): GraphNode | undefined {
    const readers = this.#readers.get(value ?? "");
    return readers?.size === 1 && !this.isOutput(value) ? [...readers][0] : undefined;
  }

  /** The node of kind `op` that makes the value for one reader alone, or undefined. */
  ownProducer(value: string | undefined, ...ops: readonly string[]): GraphNode | undefined {
    const producer = this.producer(value);
    return producer && ops.includes(producer.op) && this.onlyReader(value) ? producer : undefined;
  }

  fact(value: string | undefined): Fact | undefined {
    return this.#facts.get(value ?? "");
  }

  constant(value: string | undefined): Tensor | undefined {
    return this.#constants.get(value ?? "");
  }

  note(name: string): Readonly<Record<string, Tensor>> | undefined {
    return this.#notes.get(name);
  }

  /** Keeps tensors for later methods under a node's name. */
  addNote(name: string, tensors: Readonly<Record<string, Tensor>>): void {
    this.#notes.set(name, { ...this.#notes.get(name), ...tensors });
  }

  /**
   * Adds a constant; returns its name: `name`, or one like it when that is taken.
   * A constant that only `owner` reads, and only once, is replaced in place, so that the model's own name stays; the owner must be
   * replaced next.
   */
  addConstant(name: string, tensor: Tensor, owner?: GraphNode): string {
    const own = owner && this.onlyReader(name) === owner && owner.inputs.filter((input) => input === name).length === 1;
    const unique = own && this.#constants.has(name) ? name : this.freshValue(name);
    this.#constants.set(unique, tensor);
    this.#facts.set(unique, factOfConstant(tensor));
    return unique;
  }

  /** A name for a new value: `name`, or one like it that no value has. */
  freshValue(name: string): string {
    let unique = name;
    for (let i = 2; this.#facts.has(unique); i++) unique = `${name}_${i}`;
    return unique;
  }

  /** Puts nodes in the place of another. Together they make every output of it that anyone reads. */
  replace(node: GraphNode, ...nodes: readonly GraphNode[]): void {
    const slot = this.#slotOf.get(node);
    assert(slot !== undefined, `the node '${node.name}' is in the graph`);
    this.#unlink(node);
    const place = this.#slots[slot]!;
    place.splice(place.indexOf(node), 1, ...nodes);
    for (const each of nodes) {
      this.#link(each, slot);
      inferNode(each, this.#facts).forEach((fact, i) => {
        const output = each.outputs[i];
        if (output) this.#facts.set(output, fact);
      });
    }
    this.#changed = true;
  }

  /** Makes a node's output a constant. An output of the graph keeps its name. */
  replaceByConstants(node: GraphNode, tensors: readonly Tensor[]): void {
    this.replace(node);
    node.outputs.forEach((output, i) => {
      const tensor = tensors[i];
      if (output === "" || !tensor) return;
      this.#constants.set(output, tensor);
      this.#facts.set(output, factOfConstant(tensor));
    });
  }

  /**
   * Removes a node whose first output always equals `value`.
   * @returns false, and nothing changed, where both are names that the caller of the graph knows
   */
  bypass(node: GraphNode, value: string): boolean {
    const output = node.outputs[0]!;
    if (this.isOutput(output)) {
      const producer = this.producer(value);
      if (!producer || this.isOutput(value)) return false;
      this.replace(node);
      const readers = this.readers(value);
      this.replace(producer, { ...producer, outputs: producer.outputs.map((each) => (each === value ? output : each)) });
      for (const reader of readers) this.#redirect(reader, value, output);
    } else {
      this.replace(node);
      for (const reader of this.readers(output)) this.#redirect(reader, output, value);
    }
    return true;
  }

  #redirect(reader: GraphNode, from: string, to: string): void {
    this.replace(reader, { ...reader, inputs: reader.inputs.map((each) => (each === from ? to : each)) });
  }

  #link(node: GraphNode, slot: number): void {
    this.#slotOf.set(node, slot);
    for (const output of node.outputs) if (output) this.#producers.set(output, node);
    for (const input of node.inputs) {
      if (!input) continue;
      const readers = this.#readers.get(input) ?? new Set();
      this.#readers.set(input, readers.add(node));
    }
  }

  #unlink(node: GraphNode): void {
    this.#slotOf.delete(node);
    for (const output of node.outputs) this.#producers.delete(output);
    for (const input of node.inputs) this.#readers.get(input)?.delete(node);
  }

  /** The edited graph; the very graph it came from when nothing changed. */
  finish(): Graph {
    const { inputs, outputs } = this.#graph;
    const living = this.#living();
    const nodes = this.#slots.flat().filter((node) => living.has(node));
    const read = new Set([...nodes.flatMap((node) => node.inputs), ...outputs]);
    const constants = new Map([...this.#constants].filter(([name]) => read.has(name)));
    const same = nodes.length === this.#graph.nodes.length && constants.size === this.#graph.constants.size;
    if (!this.#changed && same) return this.#graph;
    const values = new Set([...inputs, ...constants.keys(), ...nodes.flatMap((node) => node.outputs)]);
    return {
      ...this.#graph,
      nodes: sortNodes(nodes, [...inputs, ...constants.keys()], outputs),
      constants,
      facts: new Map([...this.#facts].filter(([name]) => values.has(name))),
      notes: new Map(this.#notes),
    };
  }

  /** Nodes that an output of the graph depends on. */
  #living(): Set<GraphNode> {
    const living = new Set<GraphNode>();
    const todo = [...this.#graph.outputs];
    for (let value = todo.pop(); value !== undefined; value = todo.pop()) {
      const node = this.producer(value);
      if (!node || living.has(node)) continue;
      living.add(node);
      todo.push(...node.inputs);
    }
    return living;
  }
}

/** A rewrite that looks at every node of some kinds, in order, and may edit the graph around it. */
export function rewriteEach(name: string, ops: readonly string[] | "any", visit: (node: GraphNode, edit: Editor) => void): Rewrite {
  const apply = (graph: Graph): Graph => {
    const edit = new Editor(graph);
    for (const node of graph.nodes) {
      if ((ops === "any" || ops.includes(node.op)) && edit.has(node)) visit(node, edit);
    }
    return edit.finish();
  };
  return { name, apply };
}
