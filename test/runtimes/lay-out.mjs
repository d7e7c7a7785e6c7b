// The suite as every runtime finds it: the package installed, the scripts, the fixtures, and all of it bundled for pages.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const root = fileURLToPath(new URL("../../", import.meta.url));

function fixtures() {
  const file = (path) => readFileSync(join(root, path));
  const images = JSON.parse(file("test/golden/images.json").toString());
  const picture = (kind, name) => Buffer.from(images[kind].find((row) => row.name === name).file, "base64");
  return {
    "model.onnx": file("test/fixtures/tiny.onnx"),
    "images.gz": file("examples/fashion/calibration-images-idx3-ubyte.gz"),
    "labels.gz": file("examples/fashion/calibration-labels-idx1-ubyte.gz"),
    "colour.jpg": picture("jpeg", "4:2:0"),
    "colour.png": picture("png", "rgb 8"),
  };
}

/**
 * @param folder made anew, somewhere below the repository, whose dependencies serve it
 * @param dist   the built package
 * @param programs name → bytes: plans for the golden suite (*.halftone)
 * @param plans  name → bytes, to be timed
 */
export async function layOut(folder, dist, programs, plans = {}) {
  rmSync(folder, { recursive: true, force: true });
  cpSync(new URL("suite/", import.meta.url), folder, { recursive: true });
  const halftone = join(folder, "node_modules/halftone");
  mkdirSync(halftone, { recursive: true });
  cpSync(join(root, "package.json"), join(halftone, "package.json"));
  cpSync(dist, join(halftone, "dist"), { recursive: true });
  const files = { ...fixtures(), ...programs };
  mkdirSync(join(folder, "fixtures"));
  for (const [name, bytes] of Object.entries({ ...files, ...plans })) writeFileSync(join(folder, "fixtures", name), bytes);
  await build({
    root: folder,
    base: "./",
    logLevel: "error",
    // Workers that import, and top-level await, as all of these browsers have it.
    build: { target: "es2022", outDir: "page", assetsInlineLimit: 0 },
    worker: { format: "es" },
  });
  return { folder, files: Object.keys(files), plans: Object.keys(plans) };
}
