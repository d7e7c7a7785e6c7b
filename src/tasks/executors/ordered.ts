import { HalftoneError } from "../../errors.ts";
import type { RunOptions, Task } from "../types.ts";

/** Runs one task at a time. `started` may be called when work on it begins, again if it begins anew. */
export type Lane = (task: Task, started: () => void) => Promise<unknown>;

type Outcome = { readonly value: unknown } | { readonly error: unknown; readonly ofSource?: boolean };

/**
 * Runs a stream of tasks on several lanes and hands the results on in task order. At most `window` tasks are pulled and not yet
 * consumed, so memory does not grow with their number. If tasks fail, the error is that of the first of them in task order, on any
 * number of lanes, unless `onFailed` takes failures; a cancellation rejects at once.
 */
export function runOrdered<T>(
  tasks: AsyncIterable<Task> | Iterable<Task>,
  lanes: readonly Lane[],
  window: number,
  consume: (result: T, index: number) => void,
  { signal, onDone, onResult, onFailed, ahead = 0 }: RunOptions = {},
): Promise<void> {
  const iterator = Symbol.asyncIterator in tasks ? tasks[Symbol.asyncIterator]() : tasks[Symbol.iterator]();
  const idle = [...lanes];
  const queue: { task: Task; index: number }[] = [];
  const outcomes = new Map<number, Outcome>();
  let pulled = 0;
  let consumed = 0;
  let done = 0;
  /** Nothing more is to be pulled: the source ended or failed, or a task failed. */
  let exhausted = false;
  let sourceEnded = false;
  let feeding = false;
  let settled = false;

  return new Promise<void>((resolve, reject) => {
    const settle = (finish: () => void): void => {
      if (settled) return;
      settled = true;
      signal?.removeEventListener("abort", cancel);
      queue.length = 0;
      finish();
      // Lets a generator close its files; what it says no longer matters.
      if (!sourceEnded) Promise.resolve(iterator.return?.()).catch(() => {});
    };
    const cancel = (): void => settle(() => reject(new HalftoneError("CANCELLED", "tasks", "a cancelled signal", "a running task")));

    const endsRun = (outcome: Outcome): boolean =>
      "error" in outcome && (!onFailed || outcome.ofSource === true || isCancelled(outcome.error));

    const record = (index: number, outcome: Outcome, seconds: number): void => {
      if (settled) return;
      outcomes.set(index, outcome);
      if (endsRun(outcome)) exhausted = true;
      try {
        if ("value" in outcome) onResult?.(outcome.value, index, seconds);
        if (!endsRun(outcome)) onDone?.(++done);
        for (let next = outcomes.get(consumed); next; next = outcomes.get(consumed)) {
          outcomes.delete(consumed);
          if ("value" in next) consume(next.value as T, consumed++);
          else if (endsRun(next)) throw next.error;
          else onFailed!(next.error, consumed++);
        }
      } catch (error) {
        settle(() => reject(error));
      }
    };

    const dispatch = (): void => {
      while (!settled && idle.length > 0 && queue.length > 0) {
        const lane = idle.pop()!;
        const { task, index } = queue.shift()!;
        let from = performance.now();
        const started = (): void => void (from = performance.now());
        const seconds = (): number => (performance.now() - from) / 1000;
        const finish = (outcome: Outcome): void => {
          const taken = seconds();
          idle.push(lane);
          // The lane gets its next task before this result is looked at: it need not wait for that.
          if (!endsRun(outcome)) dispatch();
          record(index, outcome, taken);
          dispatch();
          feed();
        };
        lane(task, started).then(
          (value) => finish({ value }),
          (error: unknown) => finish({ error }),
        );
      }
    };

    const feed = async (): Promise<void> => {
      if (feeding || settled) return;
      feeding = true;
      try {
        while (!settled && !exhausted && pulled - consumed < Math.max(window, ahead)) {
          const step = await iterator.next();
          if (settled) return;
          if (step.done) exhausted = sourceEnded = true;
          else queue.push({ task: step.value, index: pulled++ });
          dispatch();
        }
      } catch (error) {
        // The source failed at this place of the order: what came before is still finished and consumed.
        exhausted = sourceEnded = true;
        record(pulled++, { error, ofSource: true }, 0);
      } finally {
        feeding = false;
      }
      if (exhausted && consumed === pulled) settle(resolve);
    };

    if (signal?.aborted) return cancel();
    signal?.addEventListener("abort", cancel);
    feed();
  });
}

const isCancelled = (error: unknown): boolean => error instanceof HalftoneError && error.code === "CANCELLED";
