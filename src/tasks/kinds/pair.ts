import type { Tensor } from "../../graph/types.ts";
import { Pair, type PairOrder, type PairResult } from "../../reconstruct/network/pair.ts";
import type { TaskKind } from "../kinds.ts";
import { single } from "./single.ts";

/** Samples on which the pair of networks that is the task's state is compared. */
export interface PairPayload {
  /** Everything learned, as the layout of the state has it. */
  readonly numbers: Float32Array;
  readonly input: Tensor;
}

/** Losses and gradients of one slice; without a state, the pair is forgotten. Memory: both networks, and the values of one slice. */
export const pair: TaskKind = {
  async run({ state, payload }, context): Promise<PairResult | undefined> {
    const both = await single(context, "pair", state, async () =>
      state === undefined ? undefined : Pair.open(context.state as PairOrder),
    );
    if (!both) return undefined;
    const { numbers, input } = payload as PairPayload;
    return both.run(numbers, input);
  },
};
