// Samples in fixed slices, a task each: how everything that sees data streams it.
import type { Dataset, RawSample } from "./data/types.ts";
import { throwIfAborted } from "./errors.ts";
import { createInlineExecutor } from "./tasks/executors/inline.ts";
import { taskKinds } from "./tasks/kinds/table.ts";
import type { Blob, Executor, Task } from "./tasks/types.ts";

export interface SliceRun {
  readonly kind: string;
  readonly options: unknown;
  readonly shared: readonly Blob[];
  readonly dataset: Dataset;
  /** Default 0. */
  readonly first?: number | undefined;
  /** Behind the last; default the data's length. */
  readonly end?: number | undefined;
  /** Samples a task. Fixed, so that results do not depend on the number of workers. */
  readonly slice: number;
  /** What a task gets of its samples, the first of which has this number; by default the samples alone. */
  readonly payload?: ((samples: readonly RawSample[], first: number) => unknown) | undefined;
  /** Absent: in-line. */
  readonly executor?: Executor | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the samples done. */
  readonly onSamples?: ((done: number) => void) | undefined;
}

/**
 * Hands the results of all slices on in the order of the samples. Memory does not depend on their number: executors hold a few at a time.
 *
 * @throws HalftoneError from data and task, CANCELLED
 */
export async function overSlices<T>(run: SliceRun, consume: (result: T) => void): Promise<void> {
  const { kind, options, shared, dataset, first = 0, end = dataset.length, slice, executor, signal, onSamples } = run;
  async function* tasks(): AsyncGenerator<Task> {
    for (let start = first; start < end; start += slice) {
      throwIfAborted(signal, kind);
      const stop = Math.min(start + slice, end);
      const samples = await dataset.read(start, stop);
      const payload = run.payload?.(samples, start) ?? samples;
      yield { kind, options, shared, payload, label: `${kind} samples ${start}…${stop - 1}` };
    }
  }
  const onDone = (done: number): void => onSamples?.(Math.min(done * slice, end - first));
  await (executor ?? createInlineExecutor(taskKinds)).run<T>(tasks(), consume, { signal, onDone });
}
