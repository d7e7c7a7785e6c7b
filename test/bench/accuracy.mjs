// Float and integer accuracy of every network of the accuracy table, one command each: quantize with --test.
//   HALFTONE_DATA=… node test/bench/accuracy.mjs [name …]        (after npm run build)
// Prints a Markdown table and fails when a bound is missed. The data sets' READMEs give the float counts.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";

const data = process.env.HALFTONE_DATA;
if (!data) throw new Error("HALFTONE_DATA is not set: it names the folder with the networks and their data");
const out = new URL("../../out/accuracy/", import.meta.url).pathname;
mkdirSync(out, { recursive: true });

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
const rows = [
  { name: "fashion/resnet20", ...fashion, float: 4694, lost: 0.1, agreement: 99.5 },
  { name: "fashion/tiny", ...fashion, float: 4533, lost: 0.3, agreement: 98.5 },
  { name: "fashion/mobilenetv2", ...fashion, float: 4642, lost: 0.2, agreement: 99 },
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

const wanted = process.argv.slice(2);
const done = new Map();
let missed = 0;
console.log("| network | samples | float | integer | lost | agreement | SQNR dB | seconds | peak MB |");
console.log("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
for (const row of rows) {
  if (wanted.length && !wanted.some((name) => row.name.startsWith(name))) continue;
  const test = row.test
    .split(",")
    .map((part) => `${data}/${part}`)
    .join(",");
  const args = [
    new URL("../../dist/src/cli/main.js", import.meta.url).pathname,
    "quantize",
    `${data}/${row.model ?? row.name}/model.onnx`,
    "--data",
    `${data}/${row.data}`,
    "--test",
    test,
    ...row.flags,
    "-o",
    `${out}${row.name.replaceAll(/[/ ]/g, "-")}.halftone`,
    "--json",
  ];
  const run = spawnSync(process.execPath, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  if (run.status !== 0) {
    missed++;
    console.log(`| ${row.name} | failed: ${run.stdout}${run.stderr} |`);
    continue;
  }
  const { accuracy, seconds, peakBytes } = JSON.parse(run.stdout);
  done.set(row.name, accuracy);
  const right = (top1) => Math.round((top1 / 100) * accuracy.samples);
  const lost = accuracy.against.top1 - accuracy.top1;
  // "on both together" for the two halves of one test set
  const first = done.get(row.with);
  const agreement = first
    ? (first.agreement * first.samples + accuracy.agreement * accuracy.samples) / (first.samples + accuracy.samples)
    : accuracy.agreement;
  const problems = [
    row.float !== undefined && right(accuracy.against.top1) !== row.float && `float ${right(accuracy.against.top1)} is not ${row.float}`,
    row.lost !== undefined && lost > row.lost + 1e-9 && `lost more than ${row.lost}`,
    row.agreement !== undefined && agreement < row.agreement && `agreement below ${row.agreement}`,
  ].filter(Boolean);
  missed += problems.length;
  const cells = [
    row.name,
    accuracy.samples,
    `${right(accuracy.against.top1)} = ${accuracy.against.top1.toFixed(2)}`,
    `${right(accuracy.top1)} = ${accuracy.top1.toFixed(2)}`,
    lost.toFixed(2),
    `${agreement.toFixed(2)}${row.with ? " (both)" : ""}`,
    accuracy.logitSqnrDb.toFixed(1),
    seconds.toFixed(1),
    Math.round(peakBytes / 1e6),
    ...problems.map((text) => `**${text}**`),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}
process.exitCode = missed ? 1 : 0;
