import type { Preprocessing, RawSample } from "../../data/types.ts";
import { createDifferentiable, type Differentiable } from "../../engine/index.ts";
import { prepare } from "../../graph/prepare.ts";
import { readModel } from "../../onnx/read.ts";
import type { Graph } from "../../graph/types.ts";
import { sizeOf } from "../../ops/strided.ts";
import { answerTemperature, fisherDraw, outputsView } from "../../reconstruct/gram/fisher.ts";
import { Gatherer } from "../../reconstruct/gram/gather.ts";
import { layerView } from "../../reconstruct/gram/layer.ts";
import { randomWord, streamOf } from "../../reconstruct/random.ts";
import type { TaskKind } from "../kinds.ts";
import { feedsOf } from "./samples.ts";
import { single } from "./single.ts";

export interface FisherOptions {
  /** Names of the nodes at whose outputs gradients are gathered. */
  readonly layers: readonly string[];
  readonly preprocessing: Preprocessing;
  readonly seed: number;
}

/** A leaf: samples whose sums are made in one piece, and the number of the first. */
export interface FisherPayload {
  readonly samples: readonly RawSample[];
  readonly first: number;
}

/** Σ (g, 1)(g, 1)ᵀ in the order of `layers`, one matrix a group of channels, sizes made multiples of 4; the upper triangle counts. */
export type FisherResult = readonly Float64Array[];

interface Prepared {
  readonly graph: Graph;
  readonly engine: Differentiable;
}

/** Of the random signs in gradients, so that no other stream of the seed has the same. */
const purpose = 0xf15e;

/**
 * Sums of products of the gradients at some layers' outputs, of what the float network answers to a leaf of samples.
 * Memory: what a pass forward and back keeps of one batch, and the sums.
 */
export const fisher: TaskKind = {
  async run({ shared, options, payload }, context): Promise<FisherResult> {
    const { layers, preprocessing, seed } = options as FisherOptions;
    const { samples, first } = payload as FisherPayload;
    const { graph, engine } = await single(context, `fisher ${shared[0]}`, layers.join("\n"), () =>
      prepareEngine(context.shared.get(shared[0]!)!, layers),
    );
    const answer = engine.graph.outputs[0]!;
    const views = layers.map((name) => outputsView(layerView(graph, graph.nodes.find((node) => node.name === name)!)!));
    const gatherers = new Map(views.map((view) => [view.input, new Gatherer(engine, view, false)]));
    let number = first;
    for await (const { feeds, count } of feedsOf(graph, samples, preprocessing, context)) {
      const { dims, data } = engine.read(engine.forward(feeds).get(answer)!);
      const classes = sizeOf(dims) / dims[0]!;
      const gradient = new Float32Array(sizeOf(dims));
      for (let i = 0; i < count; i++, number++) {
        const logits = (data as Float32Array).subarray(i * classes, (i + 1) * classes);
        const stream = streamOf(seed, purpose, number);
        const draw = fisherDraw(logits, answerTemperature, (k) => (randomWord(stream, k) & 1 ? 1 : -1));
        gradient.set(draw, i * classes);
      }
      engine.backward(new Map([[answer, { dtype: "float32", dims, data: gradient }]]), new Map(), {
        taps: new Set(gatherers.keys()),
        tap(name, tensor) {
          const gatherer = gatherers.get(name)!;
          const { groups, rows } = gatherer.view;
          const window = tensor.dims.slice(2).map(() => 1);
          gatherer.add([groups * rows, rows, ...window], count, { tensor, step: 0 });
        },
      });
    }
    return views.map(({ input }) => gatherers.get(input)!.take().inputs);
  },
};

async function prepareEngine(model: Uint8Array, layers: readonly string[]): Promise<Prepared> {
  const graph = prepare(readModel(model));
  const parameters = layers.map((name) => graph.nodes.find((node) => node.name === name)!.outputs[0]!);
  return { graph, engine: await createDifferentiable(graph, { outputs: graph.outputs.slice(0, 1), parameters }) };
}
