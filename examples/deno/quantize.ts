// From a float network to an integer program, on all processors:
//   deno run --allow-read --allow-write quantize.ts MODEL.onnx IMAGES-idx3-ubyte.gz LABELS-idx1-ubyte.gz OUT.halftone
import { createExecutor, defaultWorkers, evaluate, lower, memoryFiles, openDataset, quantize, withGolden, writePlan } from "halftone";

const [modelPath, images, labels, out] = Deno.args;
const model = await Deno.readFile(modelPath);
const files = memoryFiles(new Map([[images, await Deno.readFile(images)], [labels, await Deno.readFile(labels)]]));
const dataset = await openDataset(`${images},${labels}`, files);
const preprocessing = { scale: 1 / 255, mean: [0.286], std: [0.353] };

const executor = await createExecutor({ workers: defaultWorkers() });
const options = { weights: 4, method: "gptq-descent", samples: 128 };
const quantized = await quantize({ model, name: modelPath, dataset, preprocessing }, options, { executor });
const plan = await writePlan(await withGolden(lower(quantized)));
await Deno.writeFile(out, plan);

const { samples, top1, agreement } = await evaluate(plan, dataset, { against: model, limit: 256, executor });
console.log(`${out}: ${plan.length} bytes, top-1 ${top1} % of ${samples} samples, ${agreement} % of answers as before`);
await executor.close();
