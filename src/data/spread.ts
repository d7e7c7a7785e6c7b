import type { Dataset, RawSample } from "./types.ts";

/** Samples start…end − 1 of `total` that are spread evenly over the data. */
export async function readSpread(dataset: Dataset, start: number, end: number, total: number): Promise<RawSample[]> {
  if (total === dataset.length) return dataset.read(start, end);
  const samples: RawSample[] = [];
  for (let i = start; i < end; i++) {
    const at = Math.floor((i * dataset.length) / total);
    samples.push(...(await dataset.read(at, at + 1)));
  }
  return samples;
}
