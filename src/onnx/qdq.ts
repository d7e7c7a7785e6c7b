// Quantized → a QDQ graph: QuantizeLinear/DequantizeLinear pairs at the sites, integer weights and biases behind DequantizeLinear.
// Placed so that ONNX Runtime fuses them to its integer kernels (its QDQ selectors: every input of a node from DequantizeLinear,
// its one output into one QuantizeLinear; uint8 activations, int8 weights with zero point 0, int32 bias of scale s_x·s_w).
import { assert } from "../errors.ts";
import type { Encoding } from "../formats/encoding.ts";
import type { Attribute, DType, Fact, Graph, GraphNode, Tensor } from "../graph/types.ts";
import { biasCode, biasScale } from "../quantized/bias.ts";
import type { Quantized } from "../quantized/types.ts";
import { findUnits } from "../quantized/units.ts";
import { centred } from "../quantized/weights.ts";

/** The graph as a QDQ file shows it; write it with writeModel. */
export function toQdq(quantized: Quantized): Graph {
  const writer = new QdqWriter(quantized);
  return writer.write();
}

class QdqWriter {
  readonly #quantized: Quantized;
  readonly #graph: Graph;
  readonly #nodes: GraphNode[] = [];
  readonly #constants: Map<string, Tensor>;
  readonly #facts: Map<string, Fact>;
  readonly #nodeNames: Set<string>;
  /** What readers of a value read instead. */
  readonly #renamed = new Map<string, string>();
  /** What its producer writes, before any quantizer. */
  readonly #sources = new Map<string, string>();
  /** What each node of a table starts from: values between that and the node are never codes for it. */
  readonly #roots = new Map<GraphNode, string>();

  constructor(quantized: Quantized) {
    this.#quantized = quantized;
    this.#graph = quantized.graph;
    this.#constants = new Map(quantized.graph.constants);
    this.#facts = new Map(quantized.graph.facts);
    this.#nodeNames = new Set(quantized.graph.nodes.map(({ name }) => name));
    const ends = new Set(quantized.sites.flatMap((site) => (site.ends ? [site.value] : [])));
    for (const unit of findUnits(this.#graph, "codes", ends))
      if (unit.kind === "pointwise") for (const node of unit.nodes) this.#roots.set(node, unit.root);
  }

  write(): Graph {
    for (const input of this.#graph.inputs) this.#quantizeValue(input, input);
    for (const node of this.#graph.nodes) this.#node(node);
    const used = new Set(this.#nodes.flatMap((node) => node.inputs).concat(this.#graph.outputs));
    const constants = new Map([...this.#constants].filter(([name]) => used.has(name)));
    return { ...this.#graph, nodes: this.#nodes, constants, facts: this.#facts };
  }

  #node(node: GraphNode): void {
    const root = this.#roots.get(node);
    const inputs: string[] = node.inputs.map((name) =>
      root === undefined || name === root ? (this.#renamed.get(name) ?? name) : (this.#sources.get(name) ?? name),
    );
    const weights = this.#quantized.weights.get(node.name);
    if (weights) {
      const { encoding, codes, dims } = centred(weights);
      inputs[1] = this.#dequantizedConstant(node.inputs[1]!, `${node.name}_weight`, { dtype: "int8", dims, data: codes }, encoding);
      const bias = node.inputs[2] && this.#bias(node, encoding);
      if (bias) inputs[2] = bias;
    }
    const sited = node.outputs.filter((name) => this.#quantized.activations.has(name));
    // A site on a graph output keeps the output's name for the dequantized value.
    const outputs = node.outputs.map((name) =>
      sited.includes(name) && this.#graph.outputs.includes(name) ? unused(`${name}_float`, this.#facts) : name,
    );
    this.#nodes.push({ ...node, inputs, outputs, attributes: attributesOf(node) });
    for (const name of sited) this.#quantizeValue(name, outputs[node.outputs.indexOf(name)]!);
  }

  /** Q and DQ behind a value; `source` is the name its producer writes. */
  #quantizeValue(value: string, source: string): void {
    const encoding = this.#quantized.activations.get(value);
    if (!encoding) return;
    const fact = this.#facts.get(value)!;
    const [scale, zero] = this.#parameters(value, encoding, "uint8");
    this.#facts.set(source, fact);
    this.#sources.set(value, source);
    const real = this.#clipped(value, source, encoding);
    const codes = this.#add(
      "QuantizeLinear",
      [real, scale, zero],
      unused(`${value}_quantized`, this.#facts),
      {},
      { ...fact, dtype: "uint8" },
    );
    const output = source === value ? unused(`${value}_dequantized`, this.#facts) : value;
    this.#add("DequantizeLinear", [codes, scale, zero], output, {}, fact);
    this.#renamed.set(value, output);
  }

  /** uint8 saturates at 0 and 255 by itself; fewer bits need their bounds in real units. */
  #clipped(value: string, source: string, { levels, scale, zeroPoint }: Encoding): string {
    assert(levels.kind === "linear", "activations are linear");
    if (levels.lo === 0 && levels.hi === 255) return source;
    const bound = (role: string, code: number): string =>
      this.#constant(`${value}_${role}`, { dtype: "float32", dims: [], data: Float32Array.of(scale[0]! * (code - zeroPoint[0]!)) });
    return this.#add(
      "Clip",
      [source, bound("least", levels.lo), bound("greatest", levels.hi)],
      unused(`${value}_clipped`, this.#facts),
      {},
      this.#facts.get(value)!,
    );
  }

  #dequantizedConstant(original: string, name: string, codes: Tensor, encoding: Encoding): string {
    const { granularity } = encoding;
    assert(granularity.kind !== "group", "QDQ weights are per channel or per tensor");
    const [scale, zero] = this.#parameters(name, encoding, codes.dtype);
    const attributes: Record<string, Attribute> = granularity.kind === "channel" ? { axis: granularity.axis } : {};
    const stored = this.#constant(`${name}_codes`, codes);
    return this.#add("DequantizeLinear", [stored, scale, zero], unused(`${name}_dequantized`, this.#facts), attributes, {
      dtype: "float32",
      dims: this.#facts.get(original)?.dims ?? codes.dims,
    });
  }

  /** int32 codes with scale s_x·s_w; undefined where the input has no codes or the bias is not constant. */
  #bias(node: GraphNode, weights: Encoding): string | undefined {
    const bias = this.#graph.constants.get(node.inputs[2]!);
    const input = this.#quantized.activations.get(node.inputs[0]!);
    if (!bias || !input) return undefined;
    const fixed = this.#quantized.biases?.get(node.name);
    const weightScale = (o: number): number => weights.scale[weights.scale.length === 1 ? 0 : o]!;
    const data = Int32Array.from(bias.data as Float32Array, (b, o) => fixed?.[o] ?? biasCode(b, input.scale[0]!, weightScale(o)));
    const scale = Float32Array.from(weights.scale, (s) => biasScale(input.scale[0]!, s));
    const granularity = scale.length === 1 ? ({ kind: "tensor" } as const) : ({ kind: "channel", axis: 0 } as const);
    const encoding: Encoding = { ...weights, bits: 32, granularity, scale, zeroPoint: new Int32Array(scale.length) };
    return this.#dequantizedConstant(node.inputs[2]!, `${node.name}_bias`, { dtype: "int32", dims: bias.dims, data }, encoding);
  }

  #parameters(name: string, encoding: Encoding, dtype: DType): [string, string] {
    const dims = encoding.granularity.kind === "tensor" ? [] : [encoding.scale.length];
    const zero =
      dtype === "uint8" ? Uint8Array.from(encoding.zeroPoint) : dtype === "int8" ? Int8Array.from(encoding.zeroPoint) : encoding.zeroPoint;
    return [
      this.#constant(`${name}_scale`, { dtype: "float32", dims, data: encoding.scale }),
      this.#constant(`${name}_zero_point`, { dtype, dims, data: zero }),
    ];
  }

  #constant(wanted: string, tensor: Tensor): string {
    const name = unused(wanted, this.#facts);
    this.#constants.set(name, tensor);
    this.#facts.set(name, { dtype: tensor.dtype, dims: tensor.dims, constant: tensor });
    return name;
  }

  #add(op: string, inputs: string[], output: string, attributes: Record<string, Attribute>, fact: Fact): string {
    const name = unused(output, this.#nodeNames);
    this.#nodeNames.add(name);
    this.#nodes.push({ name, op, inputs, outputs: [output], attributes });
    this.#facts.set(output, { dtype: fact.dtype, dims: fact.dims });
    return output;
  }
}

/** ONNX Runtime's integer pool knows no dilations, not even those of 1. */
function attributesOf({ op, attributes }: GraphNode): GraphNode["attributes"] {
  const { dilations, ...rest } = attributes;
  return op === "AveragePool" && (dilations as readonly number[] | undefined)?.every((d) => d === 1) ? rest : attributes;
}

/** The name, or the first variant of it that nothing bears: models have names of their own. */
function unused(name: string, taken: { has(name: string): boolean }): string {
  return taken.has(name) ? unused(`${name}'`, taken) : name;
}
