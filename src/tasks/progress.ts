import type { Progress } from "./types.ts";

/**
 * Reports the progress of one stage, with the time left if the rest goes as the work so far. The clock serves display alone.
 *
 * @param total of samples, steps …, if it is known
 */
export function createMeter(
  stage: string,
  total: number | undefined,
  onProgress: ((progress: Progress) => void) | undefined,
  now: () => number = () => performance.now(),
): (done: number) => void {
  const start = now();
  onProgress?.({ stage, done: 0, total });
  return (done) => {
    const secondsEach = done > 0 ? (now() - start) / 1000 / done : undefined;
    const secondsLeft = total === undefined || secondsEach === undefined ? undefined : secondsEach * (total - done);
    onProgress?.({ stage, done, total, secondsLeft });
  };
}
