// Samples as one blob: they travel to whoever computes, under the hash of their bytes.
import { spread } from "../data/spread.ts";
import type { Dataset, RawSample } from "../data/types.ts";
import { blobOf } from "../tasks/hash.ts";
import { pack, unpack } from "../tasks/pack.ts";
import type { Blob } from "../tasks/types.ts";

type Packed = Pick<Dataset, "name" | "labelled"> & { readonly samples: readonly RawSample[] };

/** Samples read at a time. */
const batch = 64;

/** `count` samples that are spread evenly over the data. */
export const spreadBlob = (dataset: Dataset, count: number): Promise<Blob> => firstBlob(spread(dataset, count), count);

/** The first `count` samples. Memory: the samples as they are stored, twice. */
export async function firstBlob(dataset: Dataset, count: number): Promise<Blob> {
  const { name, labelled } = dataset;
  const total = Math.min(count, dataset.length);
  const samples: RawSample[] = [];
  for (let start = 0; start < total; start += batch) samples.push(...(await dataset.read(start, Math.min(start + batch, total))));
  return blobOf(pack({ name, labelled, samples } satisfies Packed));
}

export function datasetOf(bytes: Uint8Array): Dataset {
  const { name, labelled, samples } = unpack(bytes) as Packed;
  return { name, labelled, length: samples.length, read: async (start, end) => samples.slice(start, end) };
}
