import { readFileSync } from "node:fs";
import { describe, expect } from "vitest";
import { nodeFiles } from "../src/cli/files.ts";
import { openDataset } from "../src/data/open.ts";
import { readPreprocessorConfig } from "../src/data/preprocessor-config.ts";
import type { Preprocessing } from "../src/data/types.ts";
import { evaluate } from "../src/evaluate.ts";
import { dataDir, withData } from "./data.ts";

interface Row {
  model: string;
  data: string;
  preprocessing: Preprocessing;
  samples: number;
  top1: number;
  top5?: number;
}

const fashion = { scale: 1 / 255, mean: [0.286], std: [0.353] };
const cifar10 = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const kws = { scale: 0.5847029089927673, mean: [48.53034144639969], std: [1] };
const bytes = { scale: 1 / 255, mean: [0], std: [1] };
const fashionTest = "fashion/test_0_4999-images-idx3-ubyte.gz,fashion/test_0_4999-labels-idx1-ubyte.gz";
const mnistTest = "mnist/t10k-images-idx3-ubyte.gz,mnist/t10k-labels-idx1-ubyte.gz";
const imagenet = (model: string): Preprocessing =>
  dataDir ? readPreprocessorConfig(readFileSync(`${dataDir}/imagenet/${model}/preprocessor_config.json`, "utf8")).preprocessing : bytes;

/** Numbers of right answers, as other engines counted them. */
const rows: Row[] = [
  { model: "fashion/tiny/model.onnx", data: fashionTest, preprocessing: fashion, samples: 5000, top1: 4533 },
  { model: "fashion/resnet20/model.onnx", data: fashionTest, preprocessing: fashion, samples: 5000, top1: 4694 },
  { model: "fashion/mobilenetv2/model.onnx", data: fashionTest, preprocessing: fashion, samples: 5000, top1: 4642 },
  { model: "fashion/vit/model.onnx", data: fashionTest, preprocessing: fashion, samples: 5000, top1: 4467 },
  { model: "cifar10/resnet20/model.onnx", data: "cifar10/test_first1017.bin", preprocessing: cifar10, samples: 1017, top1: 932 },
  { model: "cifar10/resnet20/model.onnx", data: "cifar10/test_jpeg_1017_4999.bin", preprocessing: cifar10, samples: 3983, top1: 3227 },
  {
    model: "cifar10/resnet8/model.onnx",
    data: "cifar10/test_first1017.bin",
    preprocessing: { ...bytes, scale: 1 },
    samples: 1017,
    top1: 895,
  },
  { model: "kws/dscnn/model.onnx", data: "kws/x_test_int8.npy,kws/y_test.npy", preprocessing: kws, samples: 700, top1: 637 },
  { model: "mnist/lenet/model.onnx", data: mnistTest, preprocessing: bytes, samples: 10_000, top1: 9927 },
  { model: "mnist/cntk/model.onnx", data: mnistTest, preprocessing: { ...bytes, scale: 1 }, samples: 10_000, top1: 9891 },
  // Counted with the bits of libjpeg; another decoder gave 517.
  {
    model: "imagenet/mobilenetv2/model.onnx",
    data: "imagenet/val_650",
    preprocessing: imagenet("mobilenetv2"),
    samples: 650,
    top1: 513,
    top5: 614,
  },
  {
    model: "imagenet/squeezenet11/model.onnx",
    data: "imagenet/val_650",
    preprocessing: imagenet("squeezenet11"),
    samples: 650,
    top1: 434,
    top5: 588,
  },
];

describe("the float engine answers as other engines do", () => {
  withData.for(rows)(
    "$model on $data: $top1 of $samples",
    { timeout: 240_000 },
    async ({ model, data, preprocessing, samples, top1, top5 }) => {
      const paths = data.split(",").map((path) => `${dataDir}/${path}`);
      const dataset = await openDataset(paths.join(","), nodeFiles);
      const found = await evaluate(readFileSync(`${dataDir}/${model}`), dataset, { preprocessing });
      expect(found.samples).toBe(samples);
      expect(Math.round((found.top1! * samples) / 100)).toBe(top1);
      if (top5 !== undefined) expect(Math.round((found.top5! * samples) / 100)).toBe(top5);
    },
  );
});
