import type { Dataset, RawSample } from "./types.ts";

/** `total` samples spread evenly over the data, since folders are sorted by class; all of them where there are no more. */
export function spread(dataset: Dataset, total: number): Dataset {
  return total >= dataset.length ? dataset : picked(dataset, total, (i) => Math.floor((i * dataset.length) / total));
}

/** Samples by their numbers, in that order. */
export const subset = (dataset: Dataset, indices: readonly number[]): Dataset => picked(dataset, indices.length, (i) => indices[i]!);

function picked(dataset: Dataset, length: number, at: (i: number) => number): Dataset {
  const { name, classes, labelled } = dataset;
  return {
    name,
    classes,
    labelled,
    length,
    async read(start, end) {
      const samples: RawSample[] = [];
      for (let i = start; i < end; i++) samples.push(...(await dataset.read(at(i), at(i) + 1)));
      return samples;
    },
  };
}
