// Who runs the steps of learning a network as a whole: workers that hold both networks, or this thread.
import type { PairRunner } from "./reconstruct/network/distill.ts";
import { Pair, type PairOrder, type PairResult } from "./reconstruct/network/pair.ts";
import type { PairPayload } from "./tasks/kinds/pair.ts";
import type { Executor, State, Task } from "./tasks/types.ts";

/** Names of orders must not repeat while a worker lives. */
let orders = 0;

/** The slices of each step spread over an executor's workers; without workers in this process, one after the other here. */
export const pairsOf =
  (executor?: Executor, signal?: AbortSignal): ((order: PairOrder) => Promise<PairRunner>) =>
  async (order) => {
    if (!executor?.holdsStates || executor.workers === 0) {
      const pair = await Pair.open(order);
      return {
        run: async (numbers, slices) => slices.map((input) => pair.run(numbers, input)),
        async close() {},
      };
    }
    const state: State = { name: `pair ${orders++}`, data: order };
    const task = (payload: PairPayload | undefined): Task => ({
      kind: "pair",
      options: {},
      shared: [],
      state: payload && state,
      payload,
      label: `learning '${order.graph.name}'`,
    });
    return {
      async run(numbers, slices) {
        const results: PairResult[] = [];
        await executor.run<PairResult>(
          slices.map((input) => task({ numbers, input })),
          (result) => results.push(result),
          { signal },
        );
        return results;
      },
      close: () =>
        executor.run(
          Array.from({ length: executor.workers }, () => task(undefined)),
          () => {},
        ),
    };
  };
