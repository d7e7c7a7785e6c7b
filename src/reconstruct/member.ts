// A thread's own copy of a unit: what it is made of, as plain data, and the slices that it runs.
import { subgraph } from "../graph/subgraph.ts";
import type { Graph } from "../graph/types.ts";
import { type CacheData, SampleCache } from "./cache.ts";
import type { Method } from "./methods.ts";
import type { Part } from "./scopes.ts";
import { type Examples, type Slice, SliceRunner, type StreamPath } from "./slices.ts";
import { Suffix, type SuffixOrder } from "./suffix.ts";
import { type Quantizer, Unit } from "./unit.ts";

type CacheTable = ReadonlyMap<string, CacheData>;

/** Everything that a thread needs to run slices of a unit, as plain data. */
export interface UnitOrder {
  /** The part alone. */
  readonly graph: Graph;
  readonly part: Part;
  /** Names of the nodes whose weights are learned. */
  readonly weighted: readonly string[];
  readonly quantizers: readonly Quantizer[];
  /** Groups whose step size is learned. */
  readonly learned: readonly string[];
  readonly method: Method;
  readonly path: StreamPath;
  readonly samples: number;
  readonly quantized: CacheTable;
  readonly float: CacheTable;
  readonly targets: CacheTable;
  readonly importance: CacheTable | undefined;
  readonly suffix: SuffixOrder | undefined;
}

/** What a crew makes a unit's copies of. */
export function orderOf(graph: Graph, unit: Unit, method: Method, examples: Examples, path: StreamPath): UnitOrder {
  const plain = (caches: ReadonlyMap<string, SampleCache>): CacheTable => new Map([...caches].map(([name, { data }]) => [name, data]));
  return {
    graph: subgraph(graph, unit.part.inputs, unit.part.outputs),
    part: unit.part,
    weighted: unit.weights.map(({ node }) => node.name),
    quantizers: unit.quantizers,
    learned: [...unit.scales.keys()],
    method,
    path,
    samples: examples.samples,
    quantized: plain(examples.quantized),
    float: method.inputKeep < 1 ? plain(examples.float) : new Map(),
    targets: plain(examples.targets),
    importance: examples.importance && plain(examples.importance),
    suffix: examples.suffix?.order,
  };
}

const opened = (caches: CacheTable): Map<string, SampleCache> => new Map([...caches].map(([name, data]) => [name, SampleCache.of(data)]));

export class Member {
  readonly #unit: Unit;
  readonly #runner: SliceRunner;

  private constructor(unit: Unit, runner: SliceRunner) {
    this.#unit = unit;
    this.#runner = runner;
  }

  static async open(order: UnitOrder, module?: WebAssembly.Module): Promise<Member> {
    const { graph, part, weighted, quantizers, learned, method, path, samples } = order;
    const nodes = weighted.map((name) => graph.nodes.find((node) => node.name === name)!);
    const unit = await Unit.open(graph, part, nodes, quantizers, learned, module);
    unit.quantizeAll();
    const examples: Examples = {
      quantized: opened(order.quantized),
      float: opened(order.float),
      targets: opened(order.targets),
      samples,
      suffix: order.suffix && (await Suffix.open(order.suffix, module)),
      importance: order.importance && opened(order.importance),
    };
    return new Member(unit, new SliceRunner(unit, method, examples, path));
  }

  /**
   * One slice of step `index`.
   *
   * @param parameters weights and step sizes, as `Unit.readParameters` gives them
   * @param gradients  where the slice's gradients go, as `Unit.readGradients` gives them
   * @returns the slice's share of the loss
   */
  run(index: number, slice: Slice, parameters: Float32Array, gradients: Float32Array): number {
    this.#unit.writeParameters(parameters);
    this.#unit.clearGradients();
    const loss = this.#runner.run(index, slice);
    this.#unit.readGradients(gradients);
    return loss;
  }
}
