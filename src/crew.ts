// Workers that share the steps of learning: a unit is theirs as the shared input of tasks, a task a slice of a step's batch.
import type { Crew } from "./reconstruct/gradients.ts";
import type { SlicePayload, SliceResult } from "./tasks/kinds/slice.ts";
import { keepsStates, keepState } from "./states.ts";
import type { Executor } from "./tasks/types.ts";

/** Whether threads may share memory here: pages need cross-origin isolation for that, everything else just does. */
const mayShare = (): boolean => typeof SharedArrayBuffer !== "undefined" && globalThis.crossOriginIsolated !== false;

/** A crew of an executor's workers; none where there are no workers in this process. */
export function crewOf(executor: Executor | undefined, signal?: AbortSignal): Crew | undefined {
  if (!keepsStates(executor)) return undefined;
  const shares = mayShare();
  const allocate = (bytes: number): ArrayBufferLike => (shares ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes));
  return {
    allocate,
    open(order, parameterCount, gradientCount) {
      const unit = keepState(executor, "slice", order, `learning '${order.part.name}'`);
      const parameters = new Float32Array(allocate(parameterCount * 4));
      const rooms: Float32Array[] = [];
      return {
        parameters,
        async run(index, slices, consume) {
          const tasks = slices.map((slice, i) => {
            rooms[i] ??= new Float32Array(allocate(gradientCount * 4));
            const payload: SlicePayload = { index, slice, parameters, gradients: rooms[i] };
            return unit.task(payload);
          });
          await executor.run<SliceResult>(tasks, ({ gradients, loss }, i) => consume(shares ? rooms[i]! : gradients, loss), { signal });
        },
        close: () => unit.forget(),
      };
    },
  };
}
