import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zipSync } from "fflate";
import { afterAll, describe, expect, test } from "vitest";
import { nodeFiles } from "../../src/cli/files.ts";
import { memoryFiles } from "../../src/data/files.ts";
import { encodeNpy } from "../../src/data/npy.ts";
import { openDataset } from "../../src/data/open.ts";
import type { Dataset } from "../../src/data/types.ts";
import { bytesOf, cifar, golden, idx, rgbJpeg, rgbPng, text } from "./fixtures.ts";

type Tree = Record<string, Uint8Array>;

const opened = (path: string, tree: Tree, labelOffset = 0): Promise<Dataset> =>
  openDataset(path, memoryFiles(new Map(Object.entries(tree))), { labelOffset });

async function labels(dataset: Dataset): Promise<number[]> {
  return (await dataset.read(0, dataset.length)).map((sample) => sample.label);
}

describe("a folder of images", () => {
  const classes = {
    "d/cat/b.png": rgbPng,
    "d/cat/a.jpg": rgbJpeg,
    "d/ant/z.JPEG": rgbJpeg,
    "d/ant/.DS_Store": text("x"),
    "d/README.md": text("x"),
  };

  test("takes class sub-folders in the order of their names", async () => {
    const dataset = await opened("d", classes);
    expect(dataset).toMatchObject({ length: 3, labelled: true, classes: ["ant", "cat"] });
    const samples = await dataset.read(0, 3);
    expect(samples.map(({ place, label, format }) => [place, label, format.kind])).toEqual([
      ["d/ant/z.JPEG", 0, "jpeg"],
      ["d/cat/a.jpg", 1, "jpeg"],
      ["d/cat/b.png", 1, "png"],
    ]);
    expect(samples[2]!.bytes).toEqual(rgbPng);
  });

  test("is the same of Blobs, read when asked for", async () => {
    const blobs = new Map(Object.entries(classes).map(([path, bytes]) => [path, new Blob([bytes as Uint8Array<ArrayBuffer>])]));
    const [own, expected] = [await openDataset("d", memoryFiles(blobs)), await opened("d", classes)];
    expect(own).toMatchObject({ length: 3, labelled: true, classes: ["ant", "cat"] });
    expect(await own.read(0, 3)).toEqual(await expected.read(0, 3));
    expect(await memoryFiles(blobs).read("d/cat/b.png", 1, 4)).toEqual(rgbPng.slice(1, 4));
  });

  test("takes the rows of metadata.csv in their order, quoted names included", async () => {
    const csv = text('\ufefflabel,file_name\r\n7,"b, or not.png"\r\n3,sub/a.jpg\r\n');
    const dataset = await opened("d", { "d/metadata.csv": csv, "d/b, or not.png": rgbPng, "d/sub/a.jpg": rgbJpeg });
    expect(await labels(dataset)).toEqual([7, 3]);
    expect((await dataset.read(1, 2))[0]!.place).toBe("d/sub/a.jpg");
  });

  test("without either has no labels", async () => {
    const dataset = await opened("d", { "d/a.png": rgbPng, "d/b.png": rgbPng });
    expect(dataset).toMatchObject({ length: 2, labelled: false });
    expect(await labels(dataset)).toEqual([-1, -1]);
  });

  const csv = (rows: string): Tree => ({ "d/metadata.csv": text(`file_name,label\n${rows}`), "d/a.png": rgbPng });
  test.for<[string, Tree, string, RegExp]>([
    ["is empty", { "d/README.md": text("x") }, "DATA_EMPTY", /d: found no images/],
    [
      "mixes classes and loose images",
      { ...classes, "d/loose.png": rgbPng },
      "DATA_MALFORMED",
      /2 sub-folders and 1 loose images \(such as 'loose.png'\)/,
    ],
    [
      "holds an image of another kind",
      { ...classes, "d/ant/x.webp": rgbPng },
      "DATA_MALFORMED",
      /d\/ant\/x\.webp: found an image of kind \.webp/,
    ],
    ["misses a row", csv(""), "DATA_MISMATCH", /no row for image 'a\.png'/],
    ["misses a file", csv("a.png,1\nb.png,2"), "DATA_MISMATCH", /metadata\.csv line 3: found 'b\.png', which is not in the folder/],
    ["names a file twice", csv("a.png,1\na.png,2"), "DATA_MALFORMED", /a second time/],
    ["has a name for a label", csv("a.png,cat"), "LABEL_RANGE", /metadata\.csv line 2: found label 'cat', expected an integer/],
    ["has a fraction for a label", csv("a.png,1.5"), "LABEL_RANGE", /found label '1\.5'/],
    ["has a negative label", csv("a.png,-1"), "LABEL_RANGE", /found label -1/],
    ["has a row too short", csv("a.png"), "DATA_MALFORMED", /found 1 fields, expected 2/],
    ["leaves the folder", csv("../a.png,1"), "DATA_MALFORMED", /a path inside the folder/],
    [
      "has no column file_name",
      { "d/metadata.csv": text("name,label\na.png,1"), "d/a.png": rgbPng },
      "DATA_MALFORMED",
      /a column 'file_name'/,
    ],
    ["never closes a quote", csv('"a.png,1'), "DATA_MALFORMED", /a quote that is never closed/],
  ])("that %s is refused", async ([, tree, code, message]) => {
    const failure = opened("d", tree);
    await expect(failure).rejects.toMatchObject({ code });
    await expect(failure).rejects.toThrow(message);
  });
});

test("a CIFAR-10 batch is read by record", async () => {
  const dataset = await opened("x/test.bin", { "x/test.bin": cifar(12) });
  expect(dataset.length).toBe(12);
  const [, second] = await dataset.read(9, 11);
  expect(second).toMatchObject({ place: "x/test.bin record 10", label: 0, format: { kind: "planes", dims: [3, 32, 32] } });
  expect(second!.bytes).toEqual(cifar(11).slice(10 * 3073 + 1));
});

test("an IDX pair is read plain or gzipped, and images alone have no labels", async () => {
  const images = idx([3, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  const tree = { "i-idx3-ubyte": images, "i-idx3-ubyte.gz": gzipSync(images), "l-idx1-ubyte": idx([3], [4, 5, 6]) };
  for (const path of ["i-idx3-ubyte,l-idx1-ubyte", "i-idx3-ubyte.gz,l-idx1-ubyte"]) {
    const dataset = await opened(path, tree);
    const [sample] = await dataset.read(1, 2);
    expect(sample).toMatchObject({ label: 5, format: { kind: "planes", dims: [1, 2, 2] } });
    expect([...sample!.bytes]).toEqual([5, 6, 7, 8]);
  }
  expect(await labels(await opened("i-idx3-ubyte", tree))).toEqual([-1, -1, -1]);
  expect(await labels(await opened("i-idx3-ubyte,l-idx1-ubyte", tree, -4))).toEqual([0, 1, 2]);
});

test.each(["compressed", "stored"] as const)("numpy's own %s npz has x and y", async (kind) => {
  const dataset = await opened("a.npz", { "a.npz": bytesOf(golden.npz[kind]) });
  expect(await labels(dataset)).toEqual([2, 0, 1]);
  const [sample] = await dataset.read(1, 2);
  expect(sample!.format).toEqual({ kind: "array", dtype: "float32", dims: [2, 4] });
  expect([...new Float32Array(sample!.bytes.buffer)]).toEqual([8, 9, 10, 11, 12, 13, 14, 15]);
});

describe("what is not as it should be is told in one sentence", () => {
  const x = encodeNpy(new Float32Array(6), [3, 2]);
  const y = encodeNpy(Int32Array.of(0, 1, 2), [3]);
  const i = idx([2, 2, 2], new Uint8Array(8));
  const label200 = cifar(2).map((byte, at) => (at === 3073 ? 200 : byte));
  test.for<[string, Tree, string, RegExp]>([
    ["nothing", {}, "FILE_UNREADABLE", /nothing: found nothing, expected a readable file/],
    [
      "a.txt",
      { "a.txt": x },
      "DATA_MALFORMED",
      /a\.txt: found a file of another kind, by its name, expected a folder of images, a CIFAR-10 batch/,
    ],
    ["a.bin", { "a.bin": cifar(1).slice(1) }, "DATA_MALFORMED", /found 3072 bytes, 3072 more than whole records/],
    ["a.bin", { "a.bin": new Uint8Array(0) }, "DATA_EMPTY", /0 bytes/],
    ["a.bin", { "a.bin": label200 }, "LABEL_RANGE", /a\.bin record 1: found label 200, expected 0…9/],
    [
      "i.idx,l.idx",
      { "i.idx": i, "l.idx": idx([3], [0, 0, 0]) },
      "DATA_MISMATCH",
      /l\.idx: found 3 labels, expected 2, one for each image of i\.idx/,
    ],
    [
      "l.idx,i.idx",
      { "i.idx": i, "l.idx": idx([9], new Uint8Array(9)) },
      "DATA_MALFORMED",
      /found magic number 0x00000801, expected 0x00000803/,
    ],
    ["i.idx", { "i.idx": i.slice(0, 20) }, "DATA_MALFORMED", /found 20 bytes, expected 16 \+ 2 × 2 × 2 bytes/],
    ["i.idx.gz", { "i.idx.gz": gzipSync(i).slice(0, 20) }, "DATA_MALFORMED", /i\.idx\.gz: found \d+ bytes, expected 16 \+/],
    ["i.idx", { "i.idx": idx([0, 2, 2], []) }, "DATA_EMPTY", /0 images/],
    ["i.idx,l.idx", { "i.idx": i }, "FILE_UNREADABLE", /l\.idx: found nothing/],
    ["x.npy", { "x.npy": bytesOf(golden.fortran) }, "DATA_MALFORMED", /Fortran order/],
    ["x.npy", { "x.npy": x.slice(0, -3) }, "DATA_MALFORMED", /found 21 bytes of elements, expected 24 for shape \(3, 2\) of float32/],
    ["x.npy", { "x.npy": rgbPng }, "DATA_MALFORMED", /does not begin with \\x93NUMPY/],
    ["x.npy", { "x.npy": text("\u0093NUMPY") }, "DATA_MALFORMED", /npy array/],
    ["x.npy,y.npy", { "x.npy": x, "y.npy": encodeNpy(Int32Array.of(1, 2), [2]) }, "DATA_MISMATCH", /found 2 labels, expected 3/],
    ["x.npy,y.npy", { "x.npy": x, "y.npy": encodeNpy(new Float32Array(3), [3]) }, "LABEL_RANGE", /labels of type float32/],
    ["x.npy,y.npy", { "x.npy": x, "y.npy": encodeNpy(Int32Array.of(0, -2, 1), [3]) }, "LABEL_RANGE", /x\.npy row 1: found label -2/],
    ["x.npy,y.npy,z.npy", { "x.npy": x, "y.npy": y, "z.npy": y }, "DATA_MALFORMED", /3 files/],
    ["x.npy", { "x.npy": encodeNpy(new Float32Array(0), [0, 2]) }, "DATA_EMPTY", /0 rows/],
    ["a.npz", { "a.npz": zipSync({ "z.npy": y }) }, "DATA_MISMATCH", /found arrays z\.npy, expected an array named x/],
    ["a.npz", { "a.npz": x }, "DATA_MALFORMED", /a\.npz: found an archive that breaks/],
  ])("%s", async ([path, tree, code, message]) => {
    const failure = opened(path, tree).then(labels);
    await expect(failure).rejects.toMatchObject({ code });
    await expect(failure).rejects.toThrow(message);
  });
});

describe("Node's files", async () => {
  const folder = await mkdtemp(join(tmpdir(), "halftone-"));
  afterAll(() => rm(folder, { recursive: true }));

  test("rows are read by range", async () => {
    const path = join(folder, "x.npy");
    await writeFile(
      path,
      encodeNpy(
        Float32Array.from({ length: 10 }, (_, at) => at),
        [5, 2],
      ),
    );
    const [sample] = await (await openDataset(path, nodeFiles)).read(3, 4);
    expect([...new Float32Array(sample!.bytes.buffer)]).toEqual([6, 7]);
  });

  test("folders, ranges beyond the end and missing paths", async () => {
    await writeFile(join(folder, "a.png"), rgbPng);
    expect((await nodeFiles.list(folder)).find(({ name }) => name === "a.png")).toEqual({ name: "a.png", kind: "file" });
    expect(await nodeFiles.read(join(folder, "a.png"), rgbPng.length - 2, rgbPng.length + 5)).toEqual(rgbPng.slice(-2));
    expect(await nodeFiles.stat(join(folder, "none"))).toBeUndefined();
    await expect(nodeFiles.read(join(folder, "none"))).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
  });
});
