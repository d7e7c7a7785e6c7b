import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { encodeNpy } from "../../src/data/index.ts";
import type { Graph, Tensor } from "../../src/graph/types.ts";
import { writeModel } from "../../src/onnx/write.ts";
import { cifar, idx, rgbJpeg } from "../data/fixtures.ts";
import { float32, graphOf, int64s, node, randomTensor } from "../graph/build.ts";
import { inProcess, temporaryFolder, text, tiny } from "./halftone.ts";

const folder = temporaryFolder();

/** A small classifier: images of one channel and 8×8 pixels, ten classes. */
function classifier(weights: Tensor): Graph {
  const channels = weights.dims[1]!;
  const nodes = [node("c = Conv(x, w)", { kernel_shape: [3, 3] }), node("g = GlobalAveragePool(c)"), node("y = Flatten(g)")];
  return graphOf({ x: ["N", channels, 8, 8] }, nodes, { w: weights });
}

function withWeight(index: number, value: number): Graph {
  const weights = randomTensor([10, 1, 3, 3], 1);
  (weights.data as Float32Array)[index] = value;
  return classifier(weights);
}

const good = classifier(randomTensor([10, 1, 3, 3], 1));
const [conv, pool, flatten] = good.nodes as [Graph["nodes"][number], Graph["nodes"][number], Graph["nodes"][number]];
const model = writeModel(good);
const trained = new Uint8Array(readFileSync(tiny));
const constantZero = randomTensor([10, 1, 3, 3], 1);
(constantZero.data as Float32Array).fill(0, 9, 18);
const waves = Float32Array.from({ length: 20 * 64 }, (_, i) => ((i * 37) % 128) / 64 - 1);
const pixels = Uint8Array.from({ length: 20 * 64 }, (_, i) => (i * 37) & 255);
const sixteen = (of: number): Uint8Array => Uint8Array.from({ length: 20 }, (_, i) => i % of);

const files: Readonly<Record<string, Uint8Array | string>> = {
  "good.onnx": model,
  "truncated.onnx": trained.subarray(0, 20_000),
  "garbled.onnx": trained.map((byte, i) => (i >= 100 && i < 200 ? 255 : byte)),
  "empty.onnx": new Uint8Array(),
  "text.onnx": "This is no model.\n",
  "model.pb": model,
  "nan.onnx": writeModel(withWeight(5, Number.NaN)),
  "infinite.onnx": writeModel(withWeight(5, Number.POSITIVE_INFINITY)),
  "overflowing.onnx": writeModel(classifier(float32([10, 1, 3, 3], new Array(90).fill(3e38)))),
  "zero-channel.onnx": writeModel(classifier(constantZero)),
  "zero.onnx": writeModel(classifier(float32([10, 1, 3, 3], new Array(90).fill(0)))),
  "cycle.onnx": writeModel({ ...good, nodes: [{ ...conv, inputs: ["r", "w"] }, node("r = Relu(c)"), pool, flatten] }),
  "unsupported.onnx": writeModel({ ...good, nodes: [{ ...conv, op: "FancyConv" }, pool, { ...flatten, op: "NonMaxSuppression" }] }),
  "huge.onnx": writeModel({
    ...good,
    nodes: [conv, pool, node("e = Expand(g, s)"), { ...flatten, inputs: ["e"] }],
    constants: new Map([...good.constants, ["s", int64s([1, 10, 2 ** 20 * 6, 2 ** 20 * 6])]]),
  }),
  "no-integers.onnx": writeModel({
    ...good,
    nodes: [conv, node("e = InstanceNormalization(c, s, s)"), { ...pool, inputs: ["e"] }, flatten],
    constants: new Map([...good.constants, ["s", float32([10], new Array(10).fill(1))]]),
  }),
  "five.onnx": writeModel(classifier(randomTensor([10, 5, 3, 3], 1))),
  "rgb.onnx": writeModel(classifier(randomTensor([10, 3, 3, 3], 1))),
  "images.idx": idx([20, 8, 8], pixels),
  "labels.idx": idx([20], sixteen(10)),
  "labels16.idx": idx([20], sixteen(16)),
  "labels19.idx": idx([19], sixteen(10).subarray(1)),
  "cut.idx": idx([20, 8, 8], pixels).subarray(0, 700),
  "cifar.bin": cifar(10),
  "cut.bin": cifar(10).subarray(0, 5000),
  "x.npy": encodeNpy(waves, [20, 1, 8, 8]),
  "wide.npy": encodeNpy(waves.subarray(0, 20 * 63), [20, 1, 7, 9]),
  "nan.npy": encodeNpy(waves.with(700, Number.NaN), [20, 1, 8, 8]),
  "mixed/1.jpg": rgbJpeg,
  "mixed/cat/2.jpg": rgbJpeg,
  "no-images/readme.txt": "Nothing here.",
  "broken/cat/1.jpg": rgbJpeg,
  "broken/cat/2.jpg": rgbJpeg.subarray(0, rgbJpeg.length / 2),
  "columns/metadata.csv": "file,label\n1.jpg,0\n",
  "missing/metadata.csv": "file_name,label\n1.jpg,0\n",
  "recipes/text.json": "{ no",
  "recipes/list.json": "[8]",
  "recipes/unknown.json": '{"weigths": 8}',
  "recipes/range.json": '{"weights": 99}',
  "recipes/override.json": '{"overrides": [{"nodes": "/x/"}]}',
  "recipes/preprocessing.json": '{"preprocessing": {"scale": "1/255"}}',
  "config/text.json": "no",
  "config/mean.json": '{"do_normalize": true, "image_mean": "red", "image_std": [1]}',
};

const images = "images.idx,labels.idx";
/** Names of files stand for paths in the folder. */
const place = (arg: string): string =>
  arg
    .split(",")
    .map((part) =>
      part in files || /^(plans|empty|absent|mixed|no-images|broken|columns|missing|out|good\.onnx\/)/.test(part)
        ? folder.path(part)
        : part,
    )
    .join(",");

beforeAll(async () => {
  mkdirSync(folder.path("empty"));
  mkdirSync(folder.path("plans"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(folder.path(name)), { recursive: true });
    writeFileSync(folder.path(name), content);
  }
  await text(["quantize", folder.path("good.onnx"), "--data", place(images), "--workers", "0", "-o", folder.path("plans/good.halftone")]);
  const plan = readFileSync(folder.path("plans/good.halftone"));
  const edited = (change: (text: string) => string): Buffer => Buffer.from(change(plan.toString("latin1")), "latin1");
  writeFileSync(folder.path("plans/truncated.halftone"), plan.subarray(0, 900));
  writeFileSync(folder.path("plans/short.halftone"), plan.subarray(0, -16));
  writeFileSync(
    folder.path("plans/newer.halftone"),
    edited((text) => text.replace(/\\"version\\":\d/, '\\"version\\":9')),
  );
  writeFileSync(
    folder.path("plans/edited.halftone"),
    edited((text) => text.replace('\\"zeroPoint\\":-', '\\"zeroPoint\\": ')),
  );
  writeFileSync(
    folder.path("plans/damaged.halftone"),
    plan.map((byte, i) => (i === plan.length - 40 ? byte ^ 1 : byte)),
  );
  writeFileSync(folder.path("plans/text.halftone"), "This is no plan.\n");
});

/** A name, arguments, exit code, and what the sentence says. */
type Case = readonly [string, readonly string[], 1 | 2, RegExp];

const quantize = (name: string, ...flags: string[]): string[] => ["quantize", name, "--data", images, ...flags, "-o", "out.halftone"];
const on = (data: string, ...flags: string[]): string[] => ["quantize", "good.onnx", "--data", data, ...flags, "-o", "out.halftone"];
const evaluate = (name: string, data: string, ...flags: string[]): string[] => ["evaluate", name, "--data", data, ...flags];

const models: readonly Case[] = [
  ["a truncated model", quantize("truncated.onnx"), 1, /truncated\.onnx: found 20000 bytes that do not decode, .*cut off/],
  ["a garbled model", quantize("garbled.onnx"), 1, /garbled\.onnx: found \d+ bytes that do not decode, expected a serialized ONNX model/],
  ["an empty model", quantize("empty.onnx"), 1, /empty\.onnx: found no node, expected a graph/],
  ["text instead of a model", quantize("text.onnx"), 1, /text\.onnx: found 18 bytes that do not decode/],
  ["another extension", quantize("model.pb"), 2, /model\.pb: found a file of another kind, .*expected a float model \(\.onnx\)/],
  ["a plan instead of a model", quantize("plans/good.halftone"), 2, /good\.halftone: found an integer program .* expected a float model/],
  ["a missing model", quantize("absent.onnx"), 1, /absent\.onnx: found nothing, expected a readable file/],
  ["NaN in weights", quantize("nan.onnx"), 1, /nan\.onnx, constant 'w': found NaN at element 5, expected finite numbers/],
  ["infinity in weights", quantize("infinite.onnx"), 1, /infinite\.onnx, constant 'w': found Infinity at element 5/],
  [
    "infinite activations",
    quantize("overflowing.onnx"),
    1,
    /value 'c': found \d+ NaN or infinite .*expected finite activations\. Check the preprocessing/,
  ],
  ["a cycle", quantize("cycle.onnx"), 1, /cycle\.onnx, (Conv|Relu) '\w+': found a cycle through '\w', expected a graph without cycles/],
  ["unsupported operators, all of them", quantize("unsupported.onnx"), 1, /unsupported\.onnx: found FancyConv 'c', NonMaxSuppression 'y'/],
  [
    "sizes whose product overflows",
    quantize("huge.onnx"),
    1,
    /huge\.onnx, Flatten 'y': found sizes \[N, 395824185999360\], expected sizes from 0 to 2\^31/,
  ],
  [
    "an operator without an integer form",
    quantize("no-integers.onnx"),
    1,
    /no-integers\.onnx, InstanceNormalization 'e': found .*--exclude e -o \S*\.onnx/,
  ],
];

const data: readonly Case[] = [
  ["a missing path", on("absent"), 1, /absent: found nothing, expected a readable file or folder/],
  ["an empty folder", on("empty"), 1, /empty: found no images, expected JPEG or PNG files/],
  ["a folder without images", on("no-images"), 1, /no-images: found no images/],
  ["a mixed-up folder", on("mixed"), 1, /mixed: found 1 sub-folders? and 1 loose images?.*Move the loose images/],
  ["a broken image", on("broken", "--resize", "8", "--crop", "8"), 1, /broken\/cat\/2\.jpg: found a JPEG that breaks/],
  [
    "metadata without the right columns",
    on("columns"),
    1,
    /metadata\.csv line 1: found columns 'file,label', expected a column 'file_name'/,
  ],
  ["metadata that names a file which is not there", on("missing"), 1, /missing\/\S*(1\.jpg|metadata\.csv).*: found/],
  ["images of another size", on("cifar.bin"), 1, /cifar\.bin record 0: found a sample of 1×32×32, expected 1×8×8.*--resize, --crop/],
  [
    "channels that images cannot have",
    ["quantize", "five.onnx", "--data", images, "-o", "out.halftone"],
    1,
    /images\.idx image 0: found a sample of 1×8×8, expected 5×8×8/,
  ],
  ["a cut CIFAR batch", on("cut.bin"), 1, /cut\.bin: found 5000 bytes, .*expected a multiple of 3073 bytes/],
  ["a cut IDX file", on("cut.idx"), 1, /cut\.idx: found 700 bytes, expected 16 \+ 20 × 8 × 8 bytes/],
  ["fewer labels than images", on("images.idx,labels19.idx"), 1, /labels19\.idx: found 19 labels, expected 20, one for each image/],
  ["NaN in an array", on("nan.npy"), 1, /nan\.npy row 10, element 60: found NaN, expected finite numbers/],
  ["rows of another size", on("wide.npy"), 1, /wide\.npy row 0: found a sample of 1×7×9, expected 1×8×8/],
  [
    "a file of another kind",
    on("good.onnx"),
    1,
    /good\.onnx: found a file of another kind, by its name, expected a folder of images, a CIFAR-10 batch/,
  ],
  [
    "labels beyond the classes",
    evaluate("good.onnx", "images.idx,labels16.idx"),
    1,
    /image 10: found label 10, expected 0…9.*--label-offset/,
  ],
  ["labels below zero", evaluate("good.onnx", images, "--label-offset", "-3"), 1, /image 0: found label 0 with offset -3/],
  ["no labels and nothing to compare with", evaluate("good.onnx", "images.idx"), 1, /images\.idx: found no labels, .*--against/],
  ["nothing left after --skip", evaluate("good.onnx", images, "--skip", "20"), 1, /found no sample after the first 20 of 20/],
];

const options: readonly Case[] = [
  [
    "a recipe that is no JSON",
    on(images, "--recipe", "recipes/text.json"),
    2,
    /text\.json: found text that is not JSON, expected a recipe/,
  ],
  ["a recipe that is a list", on(images, "--recipe", "recipes/list.json"), 2, /list\.json: found \[8\], expected a JSON object/],
  [
    "a recipe with an unknown field",
    on(images, "--recipe", "recipes/unknown.json"),
    2,
    /field 'weigths': found an unknown field, expected weights, /,
  ],
  [
    "a recipe with a number out of range",
    on(images, "--recipe", "recipes/range.json"),
    2,
    /field 'weights': found 99, expected 2 … 8 bits/,
  ],
  ["a recipe with half an override", on(images, "--recipe", "recipes/override.json"), 2, /field 'overrides': found .*"nodes":"\/x\/"/],
  [
    "a recipe with odd preprocessing",
    on(images, "--recipe", "recipes/preprocessing.json"),
    2,
    /field 'preprocessing': found \{"scale":"1\/255"\}, expected/,
  ],
  ["preprocessing that is no JSON", on(images, "--preprocess", "config/text.json"), 1, /text\.json: found text that is not JSON/],
  [
    "preprocessing of another type",
    on(images, "--preprocess", "config/mean.json"),
    1,
    /mean\.json: found image_mean "red", expected a list of numbers/,
  ],
  ["a std of 0", on(images, "--std", "0"), 2, /std \[0\], expected positive numbers/],
  ["a mean that is no number", on(images, "--mean", "grey"), 2, /--mean: found 'grey', expected numbers/],
  ["more means than channels", on(images, "--mean", "1,2,3"), 2, /found 3 numbers of mean, expected one/],
  ["a crop larger than the picture", on(images, "--crop", "99"), 1, /found 8×8 pixels .* expected at least the crop of 99×99.*--resize/],
  ["a negative crop", on(images, "--crop", "-3"), 2, /found sizes -3, -3, expected 1…16384 pixels/],
  ["no samples", on(images, "--samples", "0"), 2, /--samples: found 0, expected a whole number, 1 or more/],
  ["a limit of 0", evaluate("good.onnx", images, "--limit", "0"), 2, /--limit: found 0, expected a whole number, 1 or more/],
  [
    "an unknown node in --exclude",
    ["quantize", "good.onnx", "--data", images, "--exclude", "nope", "-o", "out.onnx"],
    2,
    /--exclude nope: found no node of that name, expected one of c, g, y/,
  ],
  [
    "a broken pattern",
    ["quantize", "good.onnx", "--data", images, "--exclude", "/(/", "-o", "out.onnx"],
    2,
    /pattern \/\(\/: found a broken regular expression/,
  ],
  ["an override of no node", on(images, "--override", "nope=weights:int4"), 2, /--override nope: found no node of that name/],
  ["an override that sets nothing", on(images, "--override", "c"), 2, /--override c: found no '='/],
  [
    "an override with a wrong value",
    on(images, "--override", "c=ranges:guess"),
    2,
    /--override c=ranges:guess: found 'ranges:guess', expected ranges: auto, mse, /,
  ],
  ["too many workers", on(images, "--workers", "999"), 2, /--workers: found 999, expected an integer of 0…256/],
  ["labels that are not there", on(images, "--labels", "absent.txt"), 1, /absent\.txt: found nothing, expected a readable file/],
  [
    "an output of another kind",
    ["quantize", "good.onnx", "--data", images, "-o", "out.tflite"],
    2,
    /--output \S*out\.tflite: found another extension, expected \.halftone .* or \.onnx/,
  ],
  [
    "an output below a file",
    ["quantize", "good.onnx", "--data", images, "-o", "good.onnx/out.halftone"],
    1,
    /good\.onnx\/out\.halftone: found E\w+: .*, expected a place to write to/,
  ],
  ["a report below a file", on(images, "--report", "good.onnx/report.html"), 1, /good\.onnx\/report\.html: found E\w+/],
];

const plans: readonly Case[] = [
  [
    "a truncated plan",
    ["inspect", "plans/truncated.halftone"],
    1,
    /truncated\.halftone, plan byte 0: found a header of \d+ bytes, .*cut off/,
  ],
  ["a plan that lacks its end", evaluate("plans/short.halftone", images), 1, /short\.halftone, .*: found/],
  [
    "a plan of a newer version",
    evaluate("plans/newer.halftone", images),
    1,
    /newer\.halftone, plan version: found 9, expected 1 to 2.*update/,
  ],
  ["an edited plan", ["inspect", "plans/edited.halftone"], 1, /edited\.halftone, plan hash: found .*damaged or edited/],
  ["a damaged plan", ["run", "plans/damaged.halftone", "--input", "x.npy", "-o", "out.npy"], 1, /damaged\.halftone, plan hash: found/],
  ["text instead of a plan", ["bench", "plans/text.halftone"], 1, /text\.halftone, plan byte 0: found/],
  [
    "a float model where a plan is run",
    ["run", "good.onnx", "--input", "x.npy", "-o", "out.npy"],
    2,
    /good\.onnx: found a float model .*, expected an integer program .*halftone quantize/,
  ],
  [
    "NaN as input",
    ["run", "plans/good.halftone", "--input", "nan.npy", "-o", "out.npy"],
    1,
    /input 'x' element 60: found NaN, expected a finite number/,
  ],
  [
    "inputs of another size",
    ["run", "plans/good.halftone", "--input", "wide.npy", "-o", "out.npy"],
    1,
    /input 'x': found dims \[20,1,7,9\], expected \[1,8,8\]/,
  ],
  ["a broken model to compare with", evaluate("plans/good.halftone", images, "--against", "truncated.onnx"), 1, /truncated\.onnx: found/],
  ["drift without data", ["inspect", "plans/good.halftone", "--against", "good.onnx"], 2, /--against: found no --data.*Add --data PATH/],
  [
    "drift from a model of another input",
    ["inspect", "plans/good.halftone", "--against", "rgb.onnx", "--data", images],
    1,
    /rgb\.onnx, input 'x': found \[1, 1, 8, 8\], expected \[N, 3, 8, 8\]/,
  ],
  ["no rounds", ["bench", "plans/good.halftone", "--rounds", "0"], 2, /--rounds: found 0, expected 1 or more/],
];

describe.each([
  ["models", models],
  ["data", data],
  ["options", options],
  ["plans", plans],
] as const)("%s:", (_, cases) => {
  test.for(cases)("%s is refused with one sentence", async ([, args, expected, sentence]) => {
    const inLine = ["quantize", "evaluate"].includes(args[0]!) && !args.includes("--workers") ? ["--workers", "0"] : [];
    const { code, stdout, stderr } = await inProcess([...args.map(place), ...inLine]);
    expect(stderr).toMatch(sentence);
    expect(code).toBe(expected);
    // One line, no stack, and the form that every error has: place, found, expected, way out.
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).toMatch(/: found .+, expected .+\.\n$/);
    expect(stdout).not.toContain("wrote");
  });
});

test.for(["zero-channel.onnx", "zero.onnx"])("%s, a network with channels that are constantly zero, works", async (name) => {
  const out = folder.path(`plans/${name}.halftone`);
  await text(["quantize", folder.path(name), "--data", place(images), "--workers", "0", "-o", out]);
  const printed = await text(["evaluate", out, "--data", place(images), "--against", folder.path(name), "--workers", "0"]);
  expect(printed).toContain("agreement  100.00 %");
});

test("nothing that was refused left a file", () => {
  expect(folder.files().filter((name) => name.startsWith("out"))).toEqual([]);
});
