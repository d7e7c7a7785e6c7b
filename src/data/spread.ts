import type { Dataset, RawSample } from "./types.ts";

/** `total` samples spread evenly over the data, since folders are sorted by class; all of them where there are no more. */
export function spread(dataset: Dataset, total: number): Dataset {
  if (total >= dataset.length) return dataset;
  const { name, classes, labelled } = dataset;
  return {
    name,
    classes,
    labelled,
    length: total,
    async read(start, end) {
      const samples: RawSample[] = [];
      for (let i = start; i < end; i++) {
        const at = Math.floor((i * dataset.length) / total);
        samples.push(...(await dataset.read(at, at + 1)));
      }
      return samples;
    },
  };
}
