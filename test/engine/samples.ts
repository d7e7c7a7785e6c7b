// Readers of the large data, by hand: these tests do not lean on the readers they would help to judge.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

export interface Samples {
  /** Sizes of one sample. */
  readonly dims: readonly number[];
  readonly count: number;
  readonly values: Float32Array;
  readonly labels: ArrayLike<number>;
}

/** A pair of gzipped IDX files of 28×28 bytes: x = (byte · scale − mean) / std. */
export function readIdx(images: string, labels: string, scale: number, mean: number, std: number): Samples {
  const bytes = gunzipSync(readFileSync(images)).subarray(16);
  return {
    dims: [1, 28, 28],
    count: bytes.length / 784,
    values: Float32Array.from(bytes, (byte) => (byte * scale - mean) / std),
    labels: gunzipSync(readFileSync(labels)).subarray(8),
  };
}

const mean = [0.485, 0.456, 0.406];
const std = [0.229, 0.224, 0.225];

/** CIFAR-10 records of a label and three planes of 32×32. */
export function readCifar(file: string): Samples {
  const bytes = readFileSync(file);
  const count = bytes.length / 3073;
  const values = new Float32Array(count * 3072);
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < 3072; k++) {
      const c = k >> 10;
      values[i * 3072 + k] = (bytes[i * 3073 + 1 + k]! / 255 - mean[c]!) / std[c]!;
    }
  }
  return { dims: [3, 32, 32], count, values, labels: Array.from({ length: count }, (_, i) => bytes[i * 3073]!) };
}
