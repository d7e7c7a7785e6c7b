// Where the gradients of a step come from: the slices of its batch one after the other, here, or spread over a crew of workers.
import type { GradientSource } from "./learn.ts";
import type { Method } from "./methods.ts";
import { batchOf, cutBatch, type Examples, SliceRunner, type StreamPath } from "./slices.ts";
import type { Unit } from "./unit.ts";

/** In the unit itself. */
export function gradientsHere(unit: Unit, method: Method, examples: Examples, path: StreamPath): GradientSource & { release(): void } {
  const runner = new SliceRunner(unit, method, examples, path);
  const batch = batchOf(method, examples.samples);
  const slices = cutBatch(batch, unit.largest);
  return {
    rows: batch * (examples.suffix ? 2 : 1),
    async make(index) {
      unit.clearGradients();
      for (const slice of slices) runner.run(index, slice);
    },
    release: () => runner.release(),
  };
}
