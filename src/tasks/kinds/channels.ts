// What equalization and bias correction ask of the samples: by channel, how far values reach and what outputs are on average.
import type { Preprocessing, RawSample } from "../../data/types.ts";
import { assert } from "../../errors.ts";
import { addReach } from "../../ranges/reach.ts";
import type { TaskKind } from "../kinds.ts";
import { sharedEngine } from "./models.ts";
import { feedsOf } from "./samples.ts";

export interface ReachOptions {
  /** Values [N, C, …] of the prepared graph. */
  readonly values: readonly string[];
  readonly preprocessing: Preprocessing;
}

/** Largest magnitude by channel, for each value in the order of the options. */
export type ReachResult = readonly Float32Array[];

export const reach: TaskKind = {
  async run({ shared, options, payload }, context): Promise<ReachResult> {
    const { values, preprocessing } = options as ReachOptions;
    const engine = await sharedEngine(context, shared[0]!);
    const place = new Map(values.map((value, i) => [value, i]));
    const result = values.map((value) => new Float32Array(engine.graph.facts.get(value)!.dims![1] as number));
    for await (const { feeds } of feedsOf(engine.graph, payload as readonly RawSample[], preprocessing, context)) {
      engine.run(feeds, {
        taps: new Set(values),
        tap: (name, tensor) => addReach(tensor, new Float32Array(engine.memory.buffer), result[place.get(name)!]!),
      });
    }
    return result;
  },
};

export interface SumsOptions {
  readonly preprocessing: Preprocessing;
}

/** Sums over the samples of each output of the graph, [N, …] → […]. */
export type SumsResult = readonly Float64Array[];

export const sums: TaskKind = {
  async run({ shared, options, payload }, context): Promise<SumsResult> {
    const { preprocessing } = options as SumsOptions;
    const engine = await sharedEngine(context, shared[0]!);
    const result: Float64Array[] = [];
    for await (const { feeds, count } of feedsOf(engine.graph, payload as readonly RawSample[], preprocessing, context)) {
      const outputs = engine.run(feeds);
      engine.graph.outputs.forEach((name, o) => {
        const { dims, data } = outputs.get(name)!;
        assert(data instanceof Float32Array, "outputs are float32");
        const size = data.length / dims[0]!;
        result[o] ??= new Float64Array(size);
        for (let i = 0; i < count * size; i++) result[o][i % size]! += data[i]!;
      });
    }
    return result;
  },
};
