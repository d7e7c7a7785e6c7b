// Top-1 of the integer program for every range rule and several widths of activations.
//   HALFTONE_DATA=… node test/bench/ranges.mjs [fashion/tiny fashion/mobilenetv2 …]        (after npm run build)
// Ranges from the first 512 training images, accuracy on the 5,000 test images; weights int8 per channel.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = process.env.HALFTONE_DATA;
if (!root) throw new Error("HALFTONE_DATA is not set: it names the folder with the networks and their data");
const dist = new URL("../../dist/src/", import.meta.url);
const { quantize, lower, writePlan, evaluate, openDataset } = await import(new URL("index.js", dist));
const { nodeFiles } = await import(new URL("cli/files.js", dist));

const rules = ["minmax", "percentile", "mse", "entropy"];
const widths = [8, 6, 5, 4];
const preprocessing = { scale: 1 / 255, mean: [0.286], std: [0.353] };
const fashion = (name) => fileURLToPath(new URL(name, new URL("fashion/", `file://${root}/`)));
const calibration = await openDataset(fashion("train_1024-images-idx3-ubyte.gz"), nodeFiles);
const test = await openDataset(`${fashion("test_0_4999-images-idx3-ubyte.gz")},${fashion("test_0_4999-labels-idx1-ubyte.gz")}`, nodeFiles);

const networks = process.argv.length > 2 ? process.argv.slice(2) : ["tiny", "resnet20", "mobilenetv2"];
console.log(`| network | float | bits | ${rules.join(" | ")} |\n|---|--:|--:|${rules.map(() => "--:").join("|")}|`);
for (const name of networks) {
  const model = new Uint8Array(readFileSync(fashion(`${name}/model.onnx`)));
  const float = await evaluate(model, test, { preprocessing });
  for (const activations of widths) {
    const cells = [];
    for (const ranges of rules) {
      const quantized = await quantize({ model, name, dataset: calibration, preprocessing }, { ranges, activations, samples: 512 });
      const { top1 } = await evaluate(await writePlan(lower(quantized)), test, { preprocessing });
      cells.push(top1.toFixed(2));
    }
    console.log(`| ${name} | ${float.top1.toFixed(2)} | ${activations} | ${cells.join(" | ")} |`);
  }
}
