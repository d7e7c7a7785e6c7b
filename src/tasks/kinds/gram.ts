import { modelInput } from "../../data/batch.ts";
import type { Preprocessing, RawSample } from "../../data/types.ts";
import { createDifferentiable, type Differentiable } from "../../engine/index.ts";
import { assert } from "../../errors.ts";
import { prepare } from "../../graph/prepare.ts";
import type { Graph } from "../../graph/types.ts";
import { readModel } from "../../onnx/read.ts";
import { sizeOf } from "../../ops/strided.ts";
import { Algebra } from "../../reconstruct/gram/algebra.ts";
import { Gatherer, type Inputs, type LayerSums } from "../../reconstruct/gram/gather.ts";
import { type LayerView, layerView } from "../../reconstruct/gram/layer.ts";
import { type RoundInput, type RoundResult, roundLayer } from "../../reconstruct/gram/round.ts";
import { partOf, type Settled, type TwinOptions, twinGraph, twinName } from "../../reconstruct/gram/twin.ts";
import type { TaskKind } from "../kinds.ts";
import { feedsOf } from "./samples.ts";
import { single } from "./single.ts";

export interface GramOptions {
  /** Names of the nodes whose inputs are gathered. */
  readonly layers: readonly string[];
  readonly preprocessing: Preprocessing;
  /** Absent: the float network alone. */
  readonly twin?: TwinOptions | undefined;
}

/** A leaf: samples whose sums are made in one piece. */
export type GramPayload = readonly RawSample[];

/** In the order of `layers`. */
export type GramResult = readonly LayerSums[];

interface Prepared {
  readonly graph: Graph;
  readonly engine: Differentiable;
}

/**
 * Sums of products of the inputs of some layers over a leaf of samples, in the float network or in both it and its quantized twin.
 * Memory: both networks' activations of one batch, and the sums.
 */
export const gram: TaskKind = {
  async run({ shared, options, payload }, context): Promise<GramResult> {
    const { layers, preprocessing, twin } = options as GramOptions;
    const key = `${shared.join(" ")} ${layers.join("\n")}`;
    const { graph, engine } = await single(context, `gram ${shared[0]}`, key, () =>
      prepareEngine(context.shared.get(shared[0]!)!, context.shared.get(shared[1] ?? ""), options as GramOptions),
    );
    const { name: input } = modelInput(graph);
    const views = layers.map((name) => layerView(graph, graph.nodes.find((node) => node.name === name)!)!);
    const gatherers = views.map((view) => new Gatherer(engine, view, twin !== undefined));
    const sites = new Map(twin?.sites.map((site) => [twinName(site.value), site]));
    const inputName = (view: LayerView): string => (twin ? twinName(view.input) : view.input);
    // A layer is added when its outputs are there: in a twin graph both they and its inputs are alive then.
    const trigger = (view: LayerView): string => (twin ? view.node.outputs[0]! : view.input);
    const taps = new Set([...views.flatMap((view) => [inputName(view), trigger(view)]), ...sites.keys()]);
    for await (const { feeds, count } of feedsOf(graph, payload as GramPayload, preprocessing, context)) {
      const seen = new Map<string, Inputs>();
      engine.forward(twin ? new Map([...feeds, [twinName(input), feeds.get(input)!]]) : feeds, {
        taps,
        tap(name, tensor) {
          const site = sites.get(name);
          if (site) engine.kernels.fakeQuantize(tensor.ptr, tensor.ptr, sizeOf(tensor.dims), site.step, site.zero, site.lo, site.hi);
          seen.set(name, { tensor, step: site?.step ?? 0 });
          for (const [i, view] of views.entries()) {
            if (trigger(view) !== name) continue;
            const weights = graph.constants.get(view.node.inputs[1]!)!.dims;
            gatherers[i]!.add(weights, count, seen.get(inputName(view))!, twin && tensor);
          }
        },
      });
    }
    return gatherers.map((gatherer) => gatherer.take());
  },
};

async function prepareEngine(model: Uint8Array, numbers: Uint8Array | undefined, options: GramOptions): Promise<Prepared> {
  const graph = prepare(readModel(model));
  const nodes = options.layers.map((name) => graph.nodes.find((node) => node.name === name)!);
  const part = options.twin
    ? twinGraph(graph, nodes, settledOf(graph, options.twin, numbers!))
    : partOf(
        graph,
        nodes.map((node) => node.inputs[0]!),
      );
  return { graph, engine: await createDifferentiable(part, { parameters: [] }) };
}

function settledOf(graph: Graph, { settled }: TwinOptions, numbers: Uint8Array): Map<string, Settled> {
  const floats = new Float32Array(numbers.slice().buffer);
  return new Map(
    settled.map(({ node: name, weights, bias }) => {
      const node = graph.nodes.find((each) => each.name === name);
      assert(node, `node '${name}' is in the graph`);
      const read = (input: number, at: number): Settled["weights"] => {
        const { dims, data } = graph.constants.get(node.inputs[input]!)!;
        return { dtype: "float32", dims, data: floats.subarray(at, at + data.length) };
      };
      return [name, { weights: read(1, weights), bias: bias === undefined ? undefined : read(2, bias) }];
    }),
  );
}

/** Rounds one layer from its sums. */
export const gramRound: TaskKind = {
  async run({ payload }, context): Promise<RoundResult> {
    const slot = await context.memo("gram algebra", async () => ({ algebra: await Algebra.create() }));
    try {
      return await roundLayer(slot.algebra, payload as RoundInput, () => context.breathe());
    } finally {
      slot.algebra.release();
    }
  },
};
