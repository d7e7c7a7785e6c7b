import { describe, expect, test } from "vitest";
import { checkPreprocessing, decodeSample, defaultPreprocessing } from "../../src/data/preprocess.ts";
import { readPreprocessorConfig } from "../../src/data/preprocessor-config.ts";
import type { Preprocessing, RawSample } from "../../src/data/types.ts";
import { bytesOf, golden, rgbJpeg, rgbPng } from "./fixtures.ts";

const planes = (dims: readonly [number, number, number], bytes: readonly number[]): RawSample => ({
  place: "x",
  label: 3,
  bytes: Uint8Array.from(bytes),
  format: { kind: "planes", dims },
});
const array = (
  values: Float32Array | Int32Array | Uint8Array,
  dims: readonly number[],
  dtype: "float32" | "int32" | "uint8",
): RawSample => ({
  place: "x.npy row 4",
  label: -1,
  bytes: new Uint8Array(values.buffer.slice(0)),
  format: { kind: "array", dtype, dims },
});
const plain: Preprocessing = { scale: 1, mean: [0], std: [1] };

test("x = (v · scale − mean) / std in float32, each channel with its own", async () => {
  const preprocessing = { scale: 1 / 255, mean: [0.485, 0.456], std: [0.229, 0.224] };
  const { values, dims, label } = await decodeSample(planes([2, 1, 3], [0, 100, 255, 7, 128, 254]), preprocessing);
  const f = Math.fround;
  const expected = [0, 100, 255, 7, 128, 254].map((v, i) => {
    const c = i < 3 ? 0 : 1;
    return f(f(f(v / 255) - f(preprocessing.mean[c]!)) / f(preprocessing.std[c]!));
  });
  expect([...values]).toEqual(expected);
  expect({ dims, label }).toEqual({ dims: [2, 1, 3], label: 3 });
});

test("bytes are scaled to 0…1 by default, and numbers kept", async () => {
  const bytes = planes([1, 1, 2], [0, 255]);
  expect([...(await decodeSample(bytes, defaultPreprocessing(bytes.format))).values]).toEqual([0, 1]);
  const numbers = array(Float32Array.of(-3.5, 700), [2], "float32");
  expect([...(await decodeSample(numbers, defaultPreprocessing(numbers.format))).values]).toEqual([-3.5, 700]);
});

test("the crop is the middle, its corner rounded down", async () => {
  const sample = planes(
    [1, 4, 5],
    Array.from({ length: 20 }, (_, i) => i),
  );
  const { values, dims } = await decodeSample(sample, { ...plain, crop: [1, 2] });
  expect(dims).toEqual([1, 1, 2]);
  expect([...values]).toEqual([6, 7]);
});

test("images of both kinds come as [C, H, W], in the channels that the model has", async () => {
  const png: RawSample = { place: "a.png", label: 0, bytes: rgbPng, format: { kind: "png" } };
  const jpeg: RawSample = { place: "a.jpg", label: 0, bytes: rgbJpeg, format: { kind: "jpeg" } };
  expect([...(await decodeSample(png, plain)).values]).toEqual([...bytesOf(golden.png[0]!.planes)]);
  expect((await decodeSample(jpeg, plain, 1)).dims).toEqual([1, 21, 27]);
  expect((await decodeSample(jpeg, { ...plain, resize: 7 })).dims).toEqual([3, 7, 9]);
  expect((await decodeSample(jpeg, { ...plain, resize: [8, 8], crop: [6, 4] })).dims).toEqual([3, 6, 4]);
});

test("uint8 rows [C, H, W] are images, other rows are not", async () => {
  const sample = array(
    Uint8Array.from({ length: 16 }, (_, i) => i),
    [1, 4, 4],
    "uint8",
  );
  expect([...(await decodeSample(sample, { ...plain, crop: [2, 2] })).values]).toEqual([5, 6, 9, 10]);
  await expect(decodeSample(array(new Int32Array(16), [1, 4, 4], "int32"), { ...plain, crop: [2, 2] })).rejects.toMatchObject({
    code: "OPTION_INVALID",
  });
});

describe("refused with its place", () => {
  test.for<[string, RawSample, Preprocessing, string, RegExp]>([
    ["NaN", array(Float32Array.of(0, Number.NaN), [2], "float32"), plain, "NOT_FINITE", /x\.npy row 4, element 1: found NaN/],
    ["infinity", array(Float32Array.of(Number.NEGATIVE_INFINITY), [1], "float32"), plain, "NOT_FINITE", /element 0: found -Infinity/],
    ["overflow by scaling", array(Float32Array.of(1e38), [1], "float32"), { ...plain, scale: 1e3 }, "NOT_FINITE", /Infinity after scale/],
    [
      "an image below its crop",
      planes([1, 2, 2], [0, 0, 0, 0]),
      { ...plain, crop: [4, 4] },
      "DATA_MISMATCH",
      /found 2×2 pixels.*at least the crop of 4×4/,
    ],
    [
      "a strip that resizing would make endless",
      planes([1, 1, 9000], Array(9000).fill(0)),
      { ...plain, resize: 256 },
      "DATA_MISMATCH",
      /found 1×9000 pixels, 256×2304000 after resizing/,
    ],
    ["three means for one channel", planes([1, 1, 1], [0]), { ...plain, mean: [0, 0, 0] }, "OPTION_INVALID", /3 numbers of mean/],
  ])("%s", async ([, raw, preprocessing, code, message]) => {
    const failure = decodeSample(raw, preprocessing);
    await expect(failure).rejects.toMatchObject({ code });
    await expect(failure).rejects.toThrow(message);
  });

  test.for<[string, Partial<Preprocessing>]>([
    ["std 0", { std: [0] }],
    ["scale NaN", { scale: Number.NaN }],
    ["crop 0", { crop: [0, 3] }],
    ["resize 1.5", { resize: 1.5 }],
  ])("%s", ([, part]) => {
    expect(() => checkPreprocessing({ ...plain, ...part })).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  });
});

describe("preprocessor_config.json", () => {
  const imagenet = {
    crop_size: { height: 224, width: 224 },
    do_center_crop: true,
    do_normalize: true,
    do_rescale: true,
    do_resize: true,
    image_mean: [0.485, 0.456, 0.406],
    image_std: [0.229, 0.224, 0.225],
    resample: 2,
    rescale_factor: 0.00392156862745098,
    size: { shortest_edge: 256 },
  };
  const read = (config: object): ReturnType<typeof readPreprocessorConfig> => readPreprocessorConfig(JSON.stringify(config));

  test("of a convolutional network", () => {
    expect(read(imagenet)).toEqual({
      preprocessing: { resize: 256, crop: [224, 224], scale: 1 / 255, mean: imagenet.image_mean, std: imagenet.image_std },
      notes: [],
    });
  });

  test("of a transformer: exact size, no crop", () => {
    const { preprocessing } = read({
      do_resize: true,
      size: { height: 224, width: 200 },
      do_normalize: true,
      image_mean: [0.5],
      image_std: [0.5],
    });
    expect(preprocessing).toEqual({ resize: [224, 200], scale: 1 / 255, mean: [0.5], std: [0.5] });
  });

  test("what is switched off is left out", () => {
    const off = { ...imagenet, do_resize: false, do_center_crop: false, do_rescale: false, do_normalize: false };
    expect(read(off).preprocessing).toEqual({ scale: 1, mean: [0], std: [1] });
  });

  test("another filter is noted", () => {
    expect(read({ ...imagenet, resample: 3 }).notes).toEqual(["resample 3 (bicubic) is done as bilinear."]);
  });

  test.for<[string, string]>([
    ["no JSON", "{"],
    ["a list", "[]"],
    ["a mean that is no list", JSON.stringify({ ...imagenet, image_mean: 0.5 })],
    ["a size of another form", JSON.stringify({ ...imagenet, size: { longest_edge: 4 } })],
    ["BGR", JSON.stringify({ ...imagenet, do_flip_channel_order: true })],
    ["text for a flag", JSON.stringify({ ...imagenet, do_resize: "yes" })],
  ])("%s is refused", ([, json]) => {
    expect(() => readPreprocessorConfig(json, "p.json")).toThrow(expect.objectContaining({ code: "DATA_MALFORMED", place: "p.json" }));
  });
});
