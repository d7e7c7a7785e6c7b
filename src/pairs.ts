// Who runs the steps of learning a network as a whole: workers that hold both networks, or this thread.
import type { PairRunner } from "./reconstruct/network/distill.ts";
import { Pair, type PairOrder, type PairResult } from "./reconstruct/network/pair.ts";
import { keepsStates, keepState } from "./states.ts";
import type { PairPayload } from "./tasks/kinds/pair.ts";
import type { Executor } from "./tasks/types.ts";

/** The slices of each step spread over an executor's workers; without workers in this process, one after the other here. */
export const pairsOf =
  (executor?: Executor, signal?: AbortSignal): ((order: PairOrder) => Promise<PairRunner>) =>
  async (order) => {
    if (!keepsStates(executor)) {
      const pair = await Pair.open(order);
      return {
        run: async (numbers, slices) => slices.map((input) => pair.run(numbers, input)),
        async close() {},
      };
    }
    const both = keepState(executor, "pair", order, `learning '${order.graph.name}'`);
    return {
      async run(numbers, slices) {
        const results: PairResult[] = [];
        await executor.run<PairResult>(
          slices.map((input) => both.task({ numbers, input } satisfies PairPayload)),
          (result) => results.push(result),
          { signal },
        );
        return results;
      },
      close: () => both.forget(),
    };
  };
