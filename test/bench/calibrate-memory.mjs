// Peak memory of calibration for few and for many samples: it must not grow with their number.
//   npm run build && node test/bench/calibrate-memory.mjs [MODEL.onnx]
// Each count runs in a process of its own; the peak is the operating system's (resident set), so it covers wasm memory, the JavaScript
// heap and buffers alike. V8 lets its young generation grow from 1 to 16 MB in any program that runs for a while; here it starts full-grown,
// so that the difference is what calibration holds.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const counts = [128, 4096];
const mostGrowth = 1.05;
const dist = new URL("../../dist/src/", import.meta.url);
const images = "../../examples/fashion/calibration-images-idx3-ubyte.gz";

async function peak(modelPath, samples) {
  const load = (path) => import(new URL(path, dist));
  const [{ calibrate }, { prepare }, { readModel }, { findSites }, { openDataset }, { nodeFiles }] = await Promise.all(
    ["calibrate.js", "graph/prepare.js", "onnx/read.js", "quantized/sites.js", "data/open.js", "cli/files.js"].map(load),
  );
  const model = new Uint8Array(readFileSync(modelPath));
  const values = findSites(prepare(readModel(model)), 8).map(({ value }) => value);
  const stored = await openDataset(fileURLToPath(new URL(images, import.meta.url)), nodeFiles);
  // The stored pictures over and over, so that the data itself takes the same memory for any count.
  const dataset = {
    ...stored,
    length: samples,
    async read(start, end) {
      const picked = [];
      for (let i = start; i < end; i++) picked.push(...(await stored.read(i % stored.length, (i % stored.length) + 1)));
      return picked;
    },
  };
  const preprocessing = { scale: 1 / 255, mean: [0.286], std: [0.353] };
  const start = performance.now();
  const histograms = await calibrate({ model, values, dataset, samples, preprocessing });
  const seconds = (performance.now() - start) / 1000;
  const counted = [...histograms.values()].reduce((sum, { count }) => sum + count, 0);
  return { samples, seconds, counted, megabytes: process.resourceUsage().maxRSS / 1024 };
}

const [first, second] = process.argv.slice(2);
if (first === "--child") {
  console.log(JSON.stringify(await peak(process.argv[4], Number(second))));
} else {
  const model = first ?? fileURLToPath(new URL("../../examples/fashion/resnet20.onnx", import.meta.url));
  const rows = counts.map((count) => {
    const output = execFileSync(
      process.execPath,
      ["--min-semi-space-size=16", fileURLToPath(import.meta.url), "--child", String(count), model],
      { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
    );
    const row = JSON.parse(output);
    console.log(`${row.samples} samples: peak ${row.megabytes.toFixed(1)} MB, ${row.counted} values counted, ${row.seconds.toFixed(1)} s`);
    return row;
  });
  const growth = rows.at(-1).megabytes / rows[0].megabytes;
  console.log(`growth ×${growth.toFixed(3)} (at most ×${mostGrowth})`);
  process.exitCode = growth <= mostGrowth ? 0 : 1;
}
