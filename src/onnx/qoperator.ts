// Operators on codes → the float operator between DequantizeLinear and QuantizeLinear: one form for every quantized file.
import { sortNodes } from "../graph/order.ts";
import { float32, isFloat } from "../graph/tensors.ts";
import type { Attribute, Fact, Graph, GraphNode, Tensor } from "../graph/types.ts";
import { inferFacts } from "../graph/infer.ts";
import { type QLinearForm, qlinearForms } from "../ops/qlinear.ts";

/** The graph without operators on codes, but for those that only move them. Names of values and nodes stay. */
export function toPairs(graph: Graph): Graph {
  const writer = new PairWriter(graph);
  for (const node of graph.nodes) writer.add(node);
  const { nodes, constants } = writer;
  if (nodes.length === graph.nodes.length && nodes.every(({ op }, i) => op === graph.nodes[i]!.op)) return graph;
  return inferFacts({ ...graph, constants, nodes: sortNodes(nodes, [...graph.inputs, ...constants.keys()], graph.outputs) });
}

class PairWriter {
  readonly nodes: GraphNode[] = [];
  readonly constants: Map<string, Tensor>;
  readonly #graph: Graph;
  /** Codes of a value whose own name now stands for the real numbers. */
  readonly #codes = new Map<string, string>();

  constructor(graph: Graph) {
    this.#graph = graph;
    this.constants = new Map(graph.constants);
  }

  add(original: GraphNode): void {
    const node = { ...original, inputs: original.inputs.map((name) => this.#codes.get(name) ?? name) };
    const form = qlinearForms[node.op];
    if (form) this.#qlinear(node, form);
    else if (node.op === "ConvInteger" || node.op === "MatMulInteger") this.#integer(node);
    else if (node.op === "Cast" && this.#castsCodes(node)) this.#push("DequantizeLinear", node, [node.inputs[0]!, this.#unit(node)]);
    else this.nodes.push(node);
  }

  #qlinear(node: GraphNode, form: QLinearForm): void {
    const at = (i: number): string => node.inputs[i] ?? "";
    const axis = form.axis?.(node);
    const reals = form.codes(node).map((i, k) => {
      const attributes: Record<string, Attribute> = k === 1 && axis !== undefined ? { axis } : {};
      return this.#dequantized(node, `input${k}`, [at(i), at(i + 1), at(i + 2)], attributes);
    });
    if (form.bias !== undefined && at(form.bias)) {
      const scale = `${node.name}/bias_scale`;
      this.nodes.push({ name: scale, op: "Mul", inputs: [at(1), at(4)], outputs: [scale], attributes: {} });
      reals.push(this.#dequantized(node, "bias", [at(form.bias), scale], { axis: 0 }));
    }
    const attributes = form.attributes ? form.attributes(node) : node.attributes;
    const y = node.outputs[0]!;
    if (!at(form.output)) {
      this.nodes.push({ ...node, op: form.op, inputs: reals, attributes });
      return;
    }
    // The graph's own output keeps its name for the codes.
    const isOutput = this.#graph.outputs.includes(y);
    const [real, codes] = isOutput ? [`${y}/real`, y] : [y, `${y}/codes`];
    if (!isOutput) this.#codes.set(y, codes);
    this.nodes.push({ ...node, op: form.op, inputs: reals, outputs: [real], attributes });
    this.#push("QuantizeLinear", { name: codes, outputs: [codes] }, [real, at(form.output), at(form.output + 1)]);
  }

  /** Sums of codes less their zero points: the float operator on codes of scale 1. */
  #integer(node: GraphNode): void {
    const [x = "", w = "", xZero = "", wZero = ""] = node.inputs;
    const unit = this.#unit(node);
    const weightUnit = this.#unitLike(node, wZero);
    const axis = node.op === "ConvInteger" ? 0 : -1;
    const inputs = [
      this.#dequantized(node, "input0", [x, unit, xZero]),
      this.#dequantized(node, "input1", [w, weightUnit, wZero], { axis }),
    ];
    this.nodes.push({ ...node, op: node.op === "ConvInteger" ? "Conv" : "MatMul", inputs });
  }

  #dequantized(node: GraphNode, role: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    const output = `${node.name}/${role}`;
    this.#push("DequantizeLinear", { name: output, outputs: [output] }, inputs, attributes);
    return output;
  }

  #push(op: string, { name, outputs }: Pick<GraphNode, "name" | "outputs">, inputs: readonly string[], attributes = {}): void {
    this.nodes.push({ name, op, inputs: inputs.at(-1) === "" ? inputs.slice(0, -1) : inputs, outputs, attributes });
  }

  /** 8-bit codes of an input that become numbers: a scale of 1. */
  #castsCodes(node: GraphNode): boolean {
    const [from, to]: (Fact | undefined)[] = [this.#graph.facts.get(node.inputs[0]!), this.#graph.facts.get(node.outputs[0]!)];
    return (from?.dtype === "uint8" || from?.dtype === "int8") && to !== undefined && isFloat(to.dtype);
  }

  #unit(node: GraphNode): string {
    const name = `${node.name}/unit`;
    this.constants.set(name, float32([], [1]));
    return name;
  }

  /** As many ones as there are zero points. */
  #unitLike(node: GraphNode, zero: string): string {
    const tensor = this.constants.get(zero);
    const name = `${node.name}/weight_unit`;
    this.constants.set(name, float32(tensor?.dims ?? [], new Array<number>(tensor?.data.length ?? 1).fill(1)));
    return name;
  }
}
