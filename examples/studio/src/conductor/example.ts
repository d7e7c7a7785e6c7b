// What the page opens with: a residual network and pictures of clothes.
import type { Choices } from "../protocol.ts";

const files = {
  "resnet20.onnx": new URL("../../../fashion/resnet20.onnx", import.meta.url),
  "calibration-images-idx3-ubyte.gz": new URL("../../../fashion/calibration-images-idx3-ubyte.gz", import.meta.url),
  "calibration-labels-idx1-ubyte.gz": new URL("../../../fashion/calibration-labels-idx1-ubyte.gz", import.meta.url),
  "test-images-idx3-ubyte.gz": new URL("../../../fashion/test-images-idx3-ubyte.gz", import.meta.url),
  "test-labels-idx1-ubyte.gz": new URL("../../../fashion/test-labels-idx1-ubyte.gz", import.meta.url),
  "labels.txt": new URL("../../../fashion/labels.txt", import.meta.url),
};

export const example = {
  model: "resnet20.onnx",
  calibration: "calibration-images-idx3-ubyte.gz,calibration-labels-idx1-ubyte.gz",
  test: "test-images-idx3-ubyte.gz,test-labels-idx1-ubyte.gz",
  labels: "labels.txt",
  preprocessing: { scale: 1 / 255, mean: [0.286], std: [0.353] },
} as const;

/** The only requests that the page makes besides its own scripts and styles. */
export async function fetchExample(): Promise<Map<string, Blob>> {
  const entries = Object.entries(files).map(async ([name, url]): Promise<[string, Blob]> => {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url}: HTTP status ${response.status}`);
    return [name, await response.blob()];
  });
  return new Map(await Promise.all(entries));
}

export const firstChoices: Choices = {
  weights: 8,
  activations: 8,
  ranges: "auto",
  method: "nearest",
  samples: 512,
  firstLast: 8,
  seed: 0,
  iterations: 1000,
  minutes: 3,
};
