// The networks of the accuracy table: where they and their data lie, how samples are prepared, and what is asked of them.
import { readFileSync } from "node:fs";

/**
 * A network of the table with all that belongs to it; tests in the order of their rows.
 *
 * @param library openData and readPreprocessing, of whichever build is measured
 */
export async function openNetwork(data, name, { openData, readPreprocessing }) {
  const rows = networks(data).filter((row) => (row.model ?? row.name) === name);
  if (rows.length === 0) throw new Error(`${name} is not in the table of networks.mjs`);
  const paths = (list) =>
    list
      .split(",")
      .map((path) => `${data}/${path}`)
      .join(",");
  const dataset = await openData(paths(rows[0].data), 0);
  const preprocessing = await readPreprocessing(flagFields(rows[0].flags), dataset);
  const tests = await Promise.all(rows.map(({ test }) => openData(paths(test), 0)));
  return { name, model: new Uint8Array(readFileSync(`${data}/${name}/model.onnx`)), dataset, preprocessing, tests };
}

/** Agreement with the float network over all tests, top-1 of both on the first, and what `evaluate` says of each. */
export async function accuracyOn({ model, preprocessing, tests }, candidate, evaluate, options) {
  const results = [];
  for (const test of tests) results.push(await evaluate(candidate, test, { against: model, preprocessing, ...options }));
  const samples = results.reduce((sum, each) => sum + each.samples, 0);
  const agreement = results.reduce((sum, each) => sum + each.agreement * each.samples, 0) / samples;
  return { agreement, top1: results[0].top1, float: results[0].against.top1, samples, results };
}

/** A row's flags as the fields of `readPreprocessing`. */
function flagFields(flags) {
  const fields = {};
  for (let i = 0; i < flags.length; i += 2) fields[flags[i].slice(2)] = flags[i] === "--scale" ? Number(flags[i + 1]) : flags[i + 1];
  return fields;
}

/** @param data folder of the networks and their data */
export function networks(data) {
  const fashion = {
    data: "fashion/train_1024-images-idx3-ubyte.gz",
    test: "fashion/test_0_4999-images-idx3-ubyte.gz,fashion/test_0_4999-labels-idx1-ubyte.gz",
    flags: ["--mean", "0.2860", "--std", "0.3530"],
  };
  const cifar = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"];
  const mnist = { data: "mnist/train512-images-idx3-ubyte.gz", test: "mnist/t10k-images-idx3-ubyte.gz,mnist/t10k-labels-idx1-ubyte.gz" };
  const imagenet = (name) => ({
    data: "imagenet/calib_512",
    test: "imagenet/val_650",
    flags: ["--preprocess", `${data}/imagenet/${name}/preprocessor_config.json`],
  });

  /** float: right answers the data's README gives; lost: points of top-1; agreement: percent. */
  return [
    { name: "fashion/resnet20", ...fashion, float: 4694, lost: 0.1, agreement: 99.5 },
    { name: "fashion/tiny", ...fashion, float: 4533, lost: 0.3, agreement: 98.5 },
    { name: "fashion/mobilenetv2", ...fashion, float: 4642, lost: 0.2, agreement: 99 },
    { name: "fashion/vit", ...fashion, float: 4467, lost: 0.5, agreement: 97 },
    { name: "cifar10/resnet20", data: "cifar10/train_2048.bin", test: "cifar10/test_first1017.bin", flags: cifar, float: 932, lost: 0.3 },
    {
      name: "cifar10/resnet20 jpeg",
      model: "cifar10/resnet20",
      data: "cifar10/train_2048.bin",
      test: "cifar10/test_jpeg_1017_4999.bin",
      flags: cifar,
      float: 3227,
      agreement: 98.3,
      with: "cifar10/resnet20",
    },
    {
      name: "cifar10/resnet8",
      data: "cifar10/train_2048.bin",
      test: "cifar10/test_first1017.bin",
      flags: ["--scale", "1"],
      float: 895,
      lost: 0.5,
      agreement: 97,
    },
    {
      name: "kws/dscnn",
      data: "kws/x_calib_int8.npy",
      test: "kws/x_test_int8.npy,kws/y_test.npy",
      flags: ["--scale", "0.5847029089927673", "--mean", "48.53034144639969", "--std", "1"],
      float: 637,
      lost: 1,
      agreement: 95,
    },
    { name: "mnist/lenet", ...mnist, flags: [], float: 9927, lost: 0.1, agreement: 99.7 },
    { name: "mnist/cntk", ...mnist, flags: ["--scale", "1"], float: 9891, lost: 0.1, agreement: 99.7 },
    { name: "imagenet/mobilenetv2", ...imagenet("mobilenetv2"), float: 513, lost: 1, agreement: 93 },
    { name: "imagenet/squeezenet11", ...imagenet("squeezenet11"), lost: 1, agreement: 93 },
  ];
}
