// Learned rounding, part by part in order of execution: each part is given what the quantized network in front of it makes and learns to
// answer as the float network does. What comes out is the same object that went in, with other codes and other step sizes.
import type { DeviceTensor } from "../engine/types.ts";
import { throwIfAborted } from "../errors.ts";
import type { Encoding } from "../formats/encoding.ts";
import type { Graph, GraphNode } from "../graph/types.ts";
import { isWeighted, outputAxis } from "../quantized/fusions.ts";
import { beforeGains, behindGains, valuesBehindGains } from "../quantized/pixels.ts";
import type { PartReport, PixelInput, Quantized, QuantizedWeight } from "../quantized/types.ts";
import { Caches, SampleCache } from "./cache.ts";
import { gridOf, hardenedWeight, rowOrder, toRows } from "./grid.ts";
import { gradientsHere, gradientsOfCrew } from "./gradients.ts";
import { learnUnit } from "./learn.ts";
import type { Method } from "./methods.ts";
import { sizeOf } from "../ops/strided.ts";
import { fisherWeights, lpSumKernel } from "./objectives.ts";
import { parametrizations } from "./parametrizations/table.ts";
import { decodeRows, nearestCodes } from "./parametrizations/nearest.ts";
import type { Hardened, WeightGrid } from "./parametrizations/types.ts";
import { beforeActivation, findParts, type Part } from "./scopes.ts";
import { type Examples, rowsOf } from "./slices.ts";
import { findQuantizers, quantizedValues, stepsOf } from "./quantizers.ts";
import type { Checkpoint, Reconstruction, ReconstructOptions, SampleSource } from "./types.ts";
import { bypassOf, Suffix, suffixOrder } from "./suffix.ts";
import { type Quantizer, Unit } from "./unit.ts";

export type { PartReport } from "../quantized/types.ts";
export type { Checkpoint, CheckpointStore, Reconstruction, ReconstructOptions, SampleSource } from "./types.ts";

/** Samples of one pass over a part, and fewer where its values are large. */
const passBatch = 32;
const passRows = (unit: Unit): number => Math.min(passBatch, 2 * rowsOf(unit.largest));
const breathMilliseconds = 20;

/**
 * Learns the codes of every weighted node that has linear codes, and the step sizes of the activations if the method quantizes them.
 * The result depends on quantized, samples, method and seed alone.
 *
 * Memory: the values alive between two parts, for all samples, once as the float and once as the quantized network makes them (cache.ts:
 * large ones in fewer bits, or in files); and one part's training step.
 *
 * @param quantized nearest codes and calibrated encodings: where learning starts
 * @throws HalftoneError CANCELLED, OUT_OF_MEMORY, and what the engine throws
 */
export async function reconstruct(
  quantized: Quantized,
  samples: SampleSource,
  method: Method,
  options: ReconstructOptions = {},
): Promise<Reconstruction> {
  const { pixels } = quantized;
  const start = pixels ? behindGains(quantized, pixels) : quantized;
  const source = pixels ? samplesBehindGains(samples, pixels) : samples;
  const run = new Run(start, source, method, options);
  try {
    await run.readInputs();
    await run.readAnswers();
    const parts = findParts(start.graph, method.scope);
    for (const [index, part] of parts.entries()) await run.part(part, index, parts);
  } finally {
    run.release();
  }
  const learned = run.result();
  return { quantized: pixels ? beforeGains(quantized, pixels, start, learned) : learned, parts: run.reports };
}

/** Samples of a network as those of the one behind its gains. */
export const samplesBehindGains = (samples: SampleSource, pixels: PixelInput): SampleSource => ({
  length: samples.length,
  read: async (first, count) => valuesBehindGains(await samples.read(first, count), pixels),
});

class Run {
  readonly reports: PartReport[] = [];
  readonly #quantized: Quantized;
  readonly #graph: Graph;
  readonly #samples: SampleSource;
  readonly #method: Method;
  readonly #options: ReconstructOptions;
  readonly #float = new Caches();
  readonly #prefix = new Caches();
  readonly #made: SampleCache[] = [];
  readonly #weights: Map<string, QuantizedWeight>;
  readonly #quantizers: readonly Quantizer[];
  readonly #scales: Map<string, number>;
  #answers: SampleCache | undefined;
  #lastBreath = performance.now();

  constructor(quantized: Quantized, samples: SampleSource, method: Method, options: ReconstructOptions) {
    this.#quantized = quantized;
    this.#graph = quantized.graph;
    this.#samples = samples;
    this.#method = method;
    this.#options = options;
    this.#weights = new Map(quantized.weights);
    this.#quantizers = method.activations.kind === "float" ? [] : findQuantizers(quantized);
    this.#scales = new Map(this.#quantizers.map(({ group, encoding }) => [group, encoding.scale[0]!]));
  }

  /** Whether parts see inputs of both networks while they learn. */
  get #mixes(): boolean {
    return this.#method.inputKeep < 1;
  }

  /** @param encoding of a value that is codes in the quantized network */
  #cache(encoding?: Encoding): SampleCache {
    const cache = new SampleCache(this.#samples.length, this.#options.crew?.allocate, encoding && stepsOf(encoding));
    this.#made.push(cache);
    return cache;
  }

  /** Ends all caches. */
  release(): void {
    for (const cache of this.#made) cache.release();
  }

  /** The network's inputs: 8-bit codes for the quantized one, if activations are quantized and the input is. */
  async readInputs(): Promise<void> {
    const [name] = this.#graph.inputs as [string];
    const float = this.#cache();
    const coded = this.#method.activations.kind !== "float" && this.#quantized.sites.some(({ value }) => value === name);
    const encoding = coded ? this.#quantized.activations.get(name) : undefined;
    const prefix = this.#cache(encoding);
    for (let first = 0; first < this.#samples.length; first += passBatch) {
      const tensor = await this.#samples.read(first, Math.min(passBatch, this.#samples.length - first));
      const data = tensor.data as Float32Array;
      const device: DeviceTensor = { dims: tensor.dims, layout: "row-major", ptr: 0 };
      float.write(first, device, data);
      prefix.write(first, device, encoding ? quantizedValues(data, encoding) : data);
      await this.#breathe();
    }
    this.#float.set(name, float);
    this.#prefix.set(name, prefix);
  }

  /** The float network's answers, where the objective compares with them. */
  async readAnswers(): Promise<void> {
    if (this.#method.objective.kind === "output") return;
    const graph = this.#graph;
    const answers = this.#cache();
    const whole: Part = { name: graph.name, nodes: graph.nodes, inputs: graph.inputs, outputs: graph.outputs.slice(0, 1) };
    const unit = await Unit.open(graph, whole, [], [], [], this.#options.module);
    await this.#pass(unit, this.#float, (first, outputs) => answers.write(first, outputs.get(graph.outputs[0]!)!, unit.f32));
    this.#answers = answers;
  }

  /** What the objective asks of the network behind: its answer in each step, or the weights of a part's outputs once. */
  async #judges(unit: Unit, later: readonly Part[]): Promise<Pick<Examples, "suffix" | "importance">> {
    const suffix = await this.#suffix(unit.part, later);
    if (!suffix || this.#method.objective.kind === "prediction") return { suffix };
    const importance = new Map(unit.part.outputs.map((name) => [name, this.#cache()]));
    await this.#pass(unit, this.#prefix, (first, outputs, indices) => {
      const gradients = new Map(
        [...outputs].map(([name, output]): [string, DeviceTensor] => [name, { ...output, ptr: unit.allocate(sizeOf(output.dims) * 4) }]),
      );
      suffix.run(outputs, gradients, unit.f32, indices, indices.length / passBatch);
      for (const [name, gradient] of gradients) {
        const raw = unit.f32.subarray(gradient.ptr / 4, gradient.ptr / 4 + sizeOf(gradient.dims));
        importance.get(name)!.write(first, { ...gradient, ptr: 0 }, fisherWeights(raw));
        unit.release(gradient.ptr);
      }
    });
    return { importance };
  }

  async #suffix(part: Part, later: readonly Part[]): Promise<Suffix | undefined> {
    const { objective } = this.#method;
    if (objective.kind === "output") return undefined;
    const available = [...new Set(later.flatMap(({ inputs }) => inputs))].filter(
      (name) => this.#float.has(name) && !part.outputs.includes(name),
    );
    const bypass = new Map(bypassOf(this.#graph, part.outputs, available).map((name) => [name, this.#float.get(name)]));
    return Suffix.open(suffixOrder(this.#graph, part, bypass, this.#answers!, objective.temperature), this.#options.module);
  }

  async part(part: Part, index: number, parts: readonly Part[]): Promise<void> {
    const graph = this.#graph;
    await this.#floatPass(part);
    const nodes = part.nodes.filter((node) => isWeighted(graph, node) && this.#weights.has(node.name));
    const values = new Set(part.nodes.flatMap((node) => node.outputs));
    const quantizers = this.#quantizers.filter(({ value }) => values.has(value));
    const learned = this.#learnedGroups(quantizers);
    const unit = await Unit.open(graph, part, nodes, quantizers, learned, this.#options.module);
    for (const { group } of quantizers) unit.writeScale(group, this.#scales.get(group)!);
    unit.quantizeAll();

    const grids = new Map(nodes.map((node) => [node.name, this.#grid(node)]));
    const starts = new Map(nodes.map((node) => [node.name, this.#hardened(node)]));
    const nearest = this.#method.start === "codes" ? nearestOf(grids) : starts;
    this.#writeWeights(unit, grids, starts);
    const needed = new Set(parts.slice(index + 1).flatMap(({ inputs }) => inputs));
    const compared = new Set([...needed, ...part.outputs]);
    if (!this.#mixes && this.#method.compared !== "before") this.#float.keep(compared);
    const before = await this.#quantizedPass(unit);
    const checkpoint = (await this.#options.checkpoints?.load(index)) ?? (await this.#learn(unit, index, parts, grids, starts));
    await this.#options.checkpoints?.save(index, checkpoint);

    for (const [group, scale] of checkpoint.scales) {
      this.#scales.set(group, scale);
      unit.writeScale(group, scale);
    }
    unit.quantizeAll();
    for (const node of nodes) {
      const hardened = checkpoint.weights.get(node.name)!;
      this.#weights.set(node.name, hardenedWeight(node, this.#weights.get(node.name)!, hardened));
    }
    this.#writeWeights(unit, grids, checkpoint.weights);
    this.#float.keep(compared);
    const after = await this.#quantizedPass(unit, true);
    const report = this.#report(part, nodes, nearest, checkpoint, before, after);
    this.reports.push(report);
    this.#options.onPart?.(report, index, parts.length);

    this.#float.keep(needed);
    this.#prefix.keep(needed);
  }

  result(): Quantized {
    const groupOf = new Map(this.#quantized.sites.map(({ value, group }) => [value, group]));
    const activations = new Map<string, Encoding>(
      [...this.#quantized.activations].map(([value, encoding]) => {
        const scale = this.#scales.get(groupOf.get(value) ?? "");
        return [value, scale === undefined ? encoding : { ...encoding, scale: Float32Array.of(scale) }];
      }),
    );
    const provenance = { ...this.#quantized.provenance, parts: this.reports };
    return { ...this.#quantized, weights: this.#weights, activations, provenance };
  }

  /** Groups all of whose quantizers stand in this part. */
  #learnedGroups(quantizers: readonly Quantizer[]): string[] {
    const { activations } = this.#method;
    if (activations.kind === "float" || activations.rate === 0) return [];
    const here = new Set(quantizers.map(({ value }) => value));
    const inputs = new Set(this.#graph.inputs);
    const groups = [...new Set(quantizers.map(({ group }) => group))];
    return groups.filter(
      (group) => !inputs.has(group) && this.#quantizers.every((quantizer) => quantizer.group !== group || here.has(quantizer.value)),
    );
  }

  #grid(node: GraphNode): WeightGrid {
    const values = this.#graph.constants.get(node.inputs[1]!)!.data as Float32Array;
    return gridOf(node, this.#weights.get(node.name)!, values);
  }

  #hardened(node: GraphNode): Hardened {
    const weight = this.#weights.get(node.name)!;
    return { codes: toRows(weight.codes, rowOrder(weight.dims, outputAxis(node))), scale: this.#grid(node).scale };
  }

  #writeWeights(unit: Unit, grids: ReadonlyMap<string, WeightGrid>, weights: ReadonlyMap<string, Hardened>): void {
    for (const { node, variable, order, elements } of unit.weights) {
      const values = decodeRows(grids.get(node.name)!, weights.get(node.name)!);
      const rows = unit.allocate(elements * 4);
      unit.f32.set(values, rows / 4);
      unit.rowsTo(variable.ptr, rows, order);
      unit.release(rows);
    }
  }

  async #learn(
    whole: Unit,
    index: number,
    parts: readonly Part[],
    grids: ReadonlyMap<string, WeightGrid>,
    starts: ReadonlyMap<string, Hardened>,
  ): Promise<Checkpoint> {
    const judged = this.#method.compared === "before" ? beforeActivation(this.#graph, whole.part) : whole.part;
    const unit = judged === whole.part ? whole : await this.#judgedUnit(judged, whole);
    const { part, quantizers } = unit;
    const cachesOf = (caches: Caches, names: readonly string[]): Map<string, SampleCache> =>
      new Map(names.map((name) => [name, caches.get(name)]));
    const examples: Examples = {
      quantized: cachesOf(this.#prefix, part.inputs),
      float: this.#mixes ? cachesOf(this.#float, part.inputs) : new Map(),
      targets: cachesOf(this.#float, part.outputs),
      samples: this.#samples.length,
      ...(await this.#judges(unit, parts.slice(index + 1))),
    };
    const scales = new Map(quantizers.map(({ group }) => [group, this.#scales.get(group)!]));
    const { iterations } = this.#method.schedule;
    const { seed = 0, crew } = this.#options;
    const path = { seed, unit: index };
    const gradients = crew
      ? gradientsOfCrew(crew, this.#graph, unit, this.#method, examples, path)
      : gradientsHere(unit, this.#method, examples, path);
    try {
      return await learnUnit(
        unit,
        this.#method,
        parametrizations[this.#method.parametrization],
        grids,
        scales,
        gradients,
        {
          breathe: () => this.#breathe(),
          onStep: (step) => this.#options.onStep?.(index, parts.length, step, iterations),
        },
        this.#method.start === "codes" ? starts : undefined,
      );
    } finally {
      await gradients.release();
      for (const cache of examples.importance?.values() ?? []) cache.release();
    }
  }

  /** A part without its last activation in an engine of its own, and its targets. */
  async #judgedUnit(judged: Part, { weights, quantizers }: Unit): Promise<Unit> {
    await this.#floatPass(judged);
    const values = new Set(judged.nodes.flatMap(({ outputs }) => outputs));
    const own = quantizers.filter(({ value }) => values.has(value));
    const nodes = weights.map(({ node }) => node);
    const unit = await Unit.open(this.#graph, judged, nodes, own, this.#learnedGroups(own), this.#options.module);
    unit.quantizeAll();
    return unit;
  }

  /** Outputs of the float network, into the cache of targets. */
  async #floatPass(part: Part): Promise<void> {
    const unit = await Unit.open(this.#graph, part, [], [], [], this.#options.module);
    const made = new Map(part.outputs.map((name) => [name, this.#cache()]));
    await this.#pass(unit, this.#float, (first, outputs) => {
      for (const [name, output] of outputs) made.get(name)!.write(first, output, unit.f32);
    });
    for (const [name, cache] of made) this.#float.set(name, cache);
  }

  /** Outputs of the quantized network as the unit now stands, into its cache; and their distance from the targets. */
  async #quantizedPass(unit: Unit, keep = false): Promise<{ loss: number; signal: number }> {
    const { part } = unit;
    const made = new Map(part.outputs.map((name) => [name, this.#cache(this.#encodingBehind(name))]));
    let [loss, signal] = [0, 0];
    await this.#pass(unit, this.#prefix, (first, outputs, indices) => {
      for (const [name, output] of outputs) {
        if (keep) made.get(name)!.write(first, output, unit.f32);
        const n = output.dims.reduce((p, d) => p * d, 1);
        const target = unit.allocate(n * 4);
        const zero = unit.allocate(n * 4);
        const spare = unit.allocate(n * 4);
        const gathered = this.#float.get(name).gather(indices, target, unit.f32);
        const aligned = unit.inLayout(gathered, output.layout, () => spare).ptr;
        unit.kernels.fill(zero, 0, n);
        signal += lpSumKernel(unit.kernels, zero, aligned, zero, output.dims, 2) * indices.length;
        loss += lpSumKernel(unit.kernels, zero, output.ptr, aligned, output.dims, 2) * indices.length;
        unit.release(target);
        unit.release(spare);
        unit.release(zero);
      }
    });
    if (keep) for (const [name, cache] of made) this.#prefix.set(name, cache);
    return { loss: loss / this.#samples.length, signal: signal / this.#samples.length };
  }

  /** Of a value that a quantizer has just made, with its present step size. */
  #encodingBehind(value: string): Encoding | undefined {
    const quantizer = this.#quantizers.find((each) => each.value === value);
    return quantizer && { ...quantizer.encoding, scale: Float32Array.of(this.#scales.get(quantizer.group)!) };
  }

  async #pass(
    unit: Unit,
    caches: Caches,
    consume: (first: number, outputs: ReadonlyMap<string, DeviceTensor>, indices: readonly number[]) => void,
  ): Promise<void> {
    const rows = passRows(unit);
    const buffers = unit.part.inputs.map((name) => unit.allocate(rows * caches.get(name).size * 4));
    for (let first = 0; first < this.#samples.length; first += rows) {
      const indices = Array.from({ length: Math.min(rows, this.#samples.length - first) }, (_, i) => first + i);
      const feeds = new Map(unit.part.inputs.map((name, i) => [name, caches.get(name).gather(indices, buffers[i]!, unit.f32)]));
      consume(first, unit.forward(feeds), indices);
      await this.#breathe();
    }
    for (const buffer of buffers) unit.release(buffer);
  }

  #report(
    part: Part,
    nodes: readonly GraphNode[],
    nearest: ReadonlyMap<string, Hardened>,
    checkpoint: Checkpoint,
    before: { loss: number },
    after: { loss: number; signal: number },
  ): PartReport {
    let [moved, elements] = [0, 0];
    for (const node of nodes) {
      const { codes } = nearest.get(node.name)!;
      const { codes: learned, levels } = checkpoint.weights.get(node.name)!;
      elements += codes.length;
      // Codes of another grid are no neighbours of the nearest ones.
      if (!levels) for (let i = 0; i < codes.length; i++) if (codes[i] !== learned[i]) moved++;
    }
    return {
      name: part.name,
      weights: nodes.map(({ name }) => name),
      lossBefore: before.loss,
      lossAfter: after.loss,
      signal: after.signal,
      elements,
      moved,
      undecided: checkpoint.undecided,
    };
  }

  async #breathe(): Promise<void> {
    if (performance.now() - this.#lastBreath < breathMilliseconds) return;
    await new Promise((resolve) => setTimeout(resolve));
    this.#lastBreath = performance.now();
    throwIfAborted(this.#options.signal, "reconstruction");
  }
}

const nearestOf = (grids: ReadonlyMap<string, WeightGrid>): Map<string, Hardened> =>
  new Map([...grids].map(([name, grid]) => [name, { codes: nearestCodes(grid), scale: grid.scale }]));
