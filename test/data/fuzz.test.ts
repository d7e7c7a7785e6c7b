import { gzipSync } from "fflate";
import { expect, test } from "vitest";
import { memoryFiles } from "../../src/data/files.ts";
import { encodeNpy } from "../../src/data/npy.ts";
import { openDataset } from "../../src/data/open.ts";
import { decodeSample, defaultPreprocessing } from "../../src/data/preprocess.ts";
import { readPreprocessorConfig } from "../../src/data/preprocessor-config.ts";
import { HalftoneError } from "../../src/errors.ts";
import { bytesOf, cifar, golden, idx, rgbPng, text } from "./fixtures.ts";
import { dice, mutate, repairPng } from "./mutate.ts";

/** A data set of which one file is mutated. */
interface Subject {
  name: string;
  /** Of 20: how much of the work it gets. */
  share: number;
  path: string;
  victims: readonly Uint8Array[];
  tree(victim: Uint8Array): Record<string, Uint8Array>;
}

const images = idx(
  [3, 4, 4],
  Array.from({ length: 48 }, (_, i) => i * 5),
);
const labels = idx([3], [0, 1, 2]);
const x = encodeNpy(
  Float32Array.from({ length: 12 }, (_, i) => i / 3),
  [3, 4],
);
const y = encodeNpy(Int32Array.of(0, 1, 2), [3]);
const csv = text('file_name,label\na.png,1\n"b.png",0\n');

const subjects: readonly Subject[] = [
  { name: "JPEG", share: 5, path: "d", victims: golden.jpeg.map(({ file }) => bytesOf(file)), tree: (file) => ({ "d/a.jpg": file }) },
  { name: "PNG", share: 2, path: "d", victims: golden.png.map(({ file }) => bytesOf(file)), tree: (file) => ({ "d/a.png": file }) },
  {
    name: "PNG with right checksums",
    share: 4,
    path: "d",
    victims: golden.png.map(({ file }) => bytesOf(file)),
    tree: (file) => ({ "d/a.png": repairPng(file) }),
  },
  { name: "CIFAR batch", share: 1, path: "a.bin", victims: [cifar(2)], tree: (file) => ({ "a.bin": file }) },
  { name: "IDX images", share: 1, path: "i.idx,l.idx", victims: [images], tree: (file) => ({ "i.idx": file, "l.idx": labels }) },
  { name: "IDX labels", share: 1, path: "i.idx,l.idx", victims: [labels], tree: (file) => ({ "i.idx": images, "l.idx": file }) },
  { name: "gzipped IDX", share: 1, path: "i.idx.gz", victims: [gzipSync(images)], tree: (file) => ({ "i.idx.gz": file }) },
  { name: "npy", share: 1, path: "x.npy,y.npy", victims: [x], tree: (file) => ({ "x.npy": file, "y.npy": y }) },
  { name: "npy of labels", share: 1, path: "x.npy,y.npy", victims: [y], tree: (file) => ({ "x.npy": x, "y.npy": file }) },
  {
    name: "npz",
    share: 1,
    path: "a.npz",
    victims: [bytesOf(golden.npz.compressed), bytesOf(golden.npz.stored)],
    tree: (file) => ({ "a.npz": file }),
  },
  {
    name: "metadata.csv",
    share: 1,
    path: "d",
    victims: [csv],
    tree: (file) => ({ "d/metadata.csv": file, "d/a.png": rgbPng, "d/b.png": rgbPng }),
  },
];

const preprocessor = text(
  JSON.stringify({
    do_resize: true,
    size: { shortest_edge: 8 },
    do_center_crop: true,
    crop_size: 8,
    image_mean: [0.5],
    image_std: [0.5],
    resample: 2,
  }),
);

/** HALFTONE_FUZZ=100000 for the long run. */
const total = Number(process.env.HALFTONE_FUZZ ?? 20_000);
const slowest = 2000;

/** Runs `attempt` on `count` mutated files: each is read, or refused by a HalftoneError, in little time. */
async function fuzz(
  count: number,
  seed: number,
  victims: readonly Uint8Array[],
  attempt: (file: Uint8Array) => Promise<void>,
): Promise<number> {
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const roll = dice(seed * 1_000_003 + i);
    const file = mutate(victims[roll(victims.length)]!, roll);
    const start = performance.now();
    try {
      await attempt(file);
    } catch (error) {
      if (!(error instanceof HalftoneError))
        throw new Error(`case ${i} of seed ${seed}: ${Buffer.from(file).toString("base64")}`, { cause: error });
      expect(error.message.length).toBeLessThan(1000);
      refused++;
    }
    if (performance.now() - start > slowest) throw new Error(`case ${i} of seed ${seed} took too long`);
  }
  return refused;
}

test.for(subjects.map((subject, seed) => ({ ...subject, seed })))(
  "mutated $name: read or refused",
  { timeout: 600_000 },
  async ({ share, path, victims, tree, seed }) => {
    const count = Math.ceil((total * share) / 20);
    const refused = await fuzz(count, seed, victims, async (file) => {
      const dataset = await openDataset(path, memoryFiles(new Map(Object.entries(tree(file)))));
      for (const raw of await dataset.read(0, Math.min(dataset.length, 4))) {
        const images = raw.format.kind !== "array" && file.length % 2 === 0;
        const plain = defaultPreprocessing(raw.format);
        const { dims, values, label } = await decodeSample(raw, images ? { ...plain, resize: 8, crop: [8, 8] } : plain);
        expect(values.length).toBe(dims.reduce((product, dim) => product * dim, 1));
        expect(values.every(Number.isFinite)).toBe(true);
        expect(Number.isInteger(label)).toBe(true);
      }
    });
    // A mutation that no reader notices is rare enough, and one that all notice would mean that nothing is read at all.
    expect(refused).toBeGreaterThan(count / 20);
  },
);

test("mutated preprocessor_config.json: read or refused", async () => {
  await fuzz(Math.ceil(total / 20), 99, [preprocessor], async (file) => {
    const { preprocessing } = readPreprocessorConfig(new TextDecoder().decode(file));
    expect(Number.isFinite(preprocessing.scale)).toBe(true);
  });
});
