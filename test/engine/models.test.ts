import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { createEngine } from "../../src/engine/index.ts";
import type { Engine } from "../../src/engine/types.ts";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { float32 } from "../../src/graph/tensors.ts";
import type { Tensor } from "../../src/graph/types.ts";
import { readModel } from "../../src/onnx/read.ts";
import { dataDir, withData } from "../data.ts";
import { readCifar, readIdx, type Samples } from "./samples.ts";

const fashion = (set: string): Samples =>
  readIdx(`${dataDir}/fashion/${set}-images-idx3-ubyte.gz`, `${dataDir}/fashion/${set}-labels-idx1-ubyte.gz`, 1 / 255, 0.286, 0.353);
const mnist = (scale: number): Samples =>
  readIdx(`${dataDir}/mnist/train512-images-idx3-ubyte.gz`, `${dataDir}/mnist/train512-labels-idx1-ubyte.gz`, scale, 0, 1);

interface Row {
  readonly model: string;
  readonly samples: () => Samples;
  readonly batch: number;
  /** Right answers of PyTorch and ONNX Runtime on all samples, where the evaluation's own tests do not count them. */
  readonly correct?: number;
}

const rows: readonly Row[] = [
  { model: "fashion/tiny/model.onnx", samples: () => fashion("train_1024"), batch: 8 },
  { model: "fashion/resnet20/model.onnx", samples: () => fashion("train_1024"), batch: 8 },
  { model: "fashion/mobilenetv2/model.onnx", samples: () => fashion("train_1024"), batch: 8 },
  { model: "fashion/mobilenetv2/model_raw.onnx", samples: () => fashion("train_1024"), batch: 8, correct: 970 },
  { model: "fashion/vit/model.onnx", samples: () => fashion("train_1024"), batch: 8 },
  { model: "fashion/vit/model_raw.onnx", samples: () => fashion("train_1024"), batch: 8, correct: 931 },
  { model: "cifar10/resnet20/model.onnx", samples: () => readCifar(`${dataDir}/cifar10/test_first1017.bin`), batch: 8 },
  {
    model: "cifar10/resnet20/model_folded.onnx",
    samples: () => readCifar(`${dataDir}/cifar10/test_first1017.bin`),
    batch: 8,
    correct: 932,
  },
  { model: "cifar10/resnet20/model_raw.onnx", samples: () => readCifar(`${dataDir}/cifar10/test_first1017.bin`), batch: 8, correct: 932 },
  { model: "cifar10/resnet8/model.onnx", samples: () => readCifar(`${dataDir}/cifar10/test_first1017.bin`), batch: 8 },
  { model: "mnist/lenet/model.onnx", samples: () => mnist(1 / 255), batch: 8 },
  { model: "mnist/cntk/model.onnx", samples: () => mnist(1), batch: 1 },
];

function feedsOf(engine: Engine, { dims, values }: Samples, start: number, end: number): Map<string, Tensor> {
  const size = dims.reduce((a, b) => a * b);
  return new Map([[engine.graph.inputs[0]!, float32([end - start, ...dims], values.slice(start * size, end * size))]]);
}

const answer = (logits: ArrayLike<number>): number => {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
};

withData.for(rows.filter(({ correct }) => correct !== undefined))(
  "$model gives $correct right answers",
  { timeout: 300_000 },
  async ({ model, samples, batch, correct }) => {
    const engine = await createEngine(readModel(new Uint8Array(readFileSync(`${dataDir}/${model}`))));
    const data = samples();
    const output = engine.graph.outputs[0]!;
    let right = 0;
    for (let start = 0; start < data.count; start += batch) {
      const end = Math.min(start + batch, data.count);
      const logits = engine.run(feedsOf(engine, data, start, end)).get(output)!;
      const classes = logits.data.length / (end - start);
      for (let i = start; i < end; i++) {
        const row = (logits.data as Float32Array).subarray((i - start) * classes, (i - start + 1) * classes);
        if (answer(row) === data.labels[i]) right++;
      }
    }
    expect(right).toBe(correct);
  },
);

withData.for(rows)("$model equals the plain references", async ({ model, samples, batch }) => {
  const graph = readModel(new Uint8Array(readFileSync(`${dataDir}/${model}`)));
  const engine = await createEngine(graph);
  const feeds = feedsOf(engine, samples(), 0, Math.min(batch, 2));
  const expected = evaluateReference(graph, feeds).get(graph.outputs[0]!)!.data as Float32Array;
  const found = engine.run(feeds).get(graph.outputs[0]!)!.data as Float32Array;
  const largest = expected.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
  const worst = expected.reduce((max, v, i) => Math.max(max, Math.abs(v - found[i]!)), 0);
  // Winograd's transforms cost some bits: see the convolution kernels.
  expect(worst / largest).toBeLessThan(1e-5);
});
