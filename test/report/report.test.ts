import { parseHTML } from "linkedom";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { encodeNpy } from "../../src/data/index.ts";
import { random } from "../graph/build.ts";
import { calibration, held, json, labels, pixels, temporaryFolder, tiny } from "../cli/halftone.ts";

const folder = temporaryFolder();
const quantize = ["quantize", tiny, "--samples", "16", "--workers", "0"];
const classes = readFileSync(labels, "utf8").trim().split("\n");

interface Page {
  readonly html: string;
  readonly document: Document;
  /** Text of each tile by its caption. */
  readonly tiles: Readonly<Record<string, string>>;
  readonly headings: readonly string[];
}

function readPage(path: string): Page {
  const html = readFileSync(path, "utf8");
  const { document } = parseHTML(html) as unknown as { document: Document };
  const tiles = [...document.querySelectorAll(".tiles div")].map((tile) => [
    tile.querySelector("span")!.textContent,
    tile.querySelector("b")!.textContent,
  ]);
  return { html, document, tiles: Object.fromEntries(tiles), headings: [...document.querySelectorAll("h2")].map((h) => h.textContent!) };
}

/** Everything that a browser would fetch: there is to be nothing but pictures inside the file. */
function expectSelfContained({ html, document }: Page): void {
  expect(html).not.toMatch(/https?:|url\(|@import|<script|<link|<iframe/);
  for (const element of document.querySelectorAll("[src], [href]")) {
    expect(element.getAttribute("src") ?? element.getAttribute("href")).toMatch(/^data:image\/png;base64,/);
  }
}

describe("of a labelled test", async () => {
  const [plan, path] = [folder.path("a.halftone"), folder.path("a.html")];
  const test512 = ["--test", held, "--limit", "128", "--labels", labels];
  const result = await json([...quantize, "--data", calibration, ...pixels, ...test512, "-o", plan, "--report", path]);
  const inspected = await json(["inspect", plan, "--against", tiny, "--data", held, "--samples", "8"]);
  const page = readPage(path);

  test("references nothing outside", () => expectSelfContained(page));

  test("has the figures that the command printed", () => {
    const { samples, top1, agreement, logitSqnrDb, against } = result.accuracy as Record<string, number> & { against: { top1: number } };
    expect(page.tiles).toMatchObject({
      "float top-1": `${against.top1.toFixed(2)} %`,
      "integer top-1": `${top1!.toFixed(2)} %`,
      "equal answers": `${agreement!.toFixed(2)} %`,
      logits: `${logitSqnrDb!.toFixed(1)} dB`,
      "samples held back": String(samples),
      "integer program": `${(readFileSync(plan).length / 1e3).toFixed(1)} kB`,
      "activations at the peak": `${((inspected.arenaBytes as number) / 1e3).toFixed(1)} kB`,
    });
  });

  test("has a row for each step, as inspect shows it", () => {
    const steps = inspected.steps as { kernel: string; bytes: number; sqnrDb?: number; accumulator?: number[] }[];
    const rows = [...page.document.querySelectorAll("table tr")].slice(1).map((row) => [...row.children].map((cell) => cell.textContent));
    expect(rows.map(([index, kernel, , bytes, sqnr, accumulator]) => [index, kernel, bytes, sqnr, accumulator])).toEqual(
      steps.map(({ kernel, bytes, sqnrDb, accumulator }, i) => [
        String(i),
        kernel,
        String(bytes),
        sqnrDb === undefined ? "" : sqnrDb.toFixed(1),
        accumulator ? accumulator.join(" … ") : "",
      ]),
    );
  });

  test("draws every step and every weight", () => {
    const svgs = [...page.document.querySelectorAll("svg.wide")];
    expect(svgs.map((svg) => svg.getAttribute("aria-label"))).toEqual([
      "Signal to noise of every step",
      "Bytes of constants of every step",
    ]);
    const steps = inspected.steps as { sqnrDb?: number }[];
    expect(svgs[0]!.querySelectorAll("circle")).toHaveLength(steps.filter(({ sqnrDb }) => sqnrDb !== undefined).length);
    expect(svgs[1]!.querySelectorAll("[aria-label=rect] rect")).toHaveLength(steps.length);
    const weights = [...page.document.querySelectorAll(".grid figcaption")].map((caption) => caption.textContent);
    expect(weights).toContain("Conv_0");
    expect(page.document.querySelectorAll(".grid svg")).toHaveLength(weights.length);
  });

  test("shows pictures with both answers by name, differing ones first", () => {
    const figures = [...page.document.querySelectorAll(".sample")];
    expect(figures).toHaveLength(12);
    const verdicts = figures.map((figure) => {
      expect(figure.querySelector("img")!.getAttribute("src")).toMatch(/^data:image\/png;base64,iVBOR/);
      const terms = Object.fromEntries(
        [...figure.querySelectorAll("dt")].map((dt) => [dt.textContent, dt.nextElementSibling!.textContent!]),
      );
      for (const name of Object.values(terms)) expect(classes).toContain(name);
      expect(figure.classList.contains("different")).toBe(terms.float !== terms.integer);
      return terms.float !== terms.integer;
    });
    expect(verdicts).toEqual(verdicts.toSorted((a, b) => Number(b) - Number(a)));
  });

  test("fits a phone and the dark", () => {
    expect(page.html).toContain("width=device-width, initial-scale=1");
    expect(page.html).toContain("prefers-color-scheme: dark");
    // Colours of plots come from the page, so that they change with it.
    expect(page.html.match(/(fill|stroke)="#[0-9a-f]+"/g)).toBeNull();
  });
});

test("of arrays has answers without pictures", async () => {
  const [x, path] = [folder.path("x.npy"), folder.path("b.html")];
  const next = random(3);
  writeFileSync(x, encodeNpy(Float32Array.from({ length: 20 * 784 }, next), [20, 1, 28, 28]));
  await json([...quantize, "--data", x, "-o", folder.path("b.halftone"), "--report", path]);
  const page = readPage(path);
  expectSelfContained(page);
  expect(page.document.querySelectorAll("img")).toHaveLength(0);
  expect(page.document.querySelectorAll(".sample")).toHaveLength(12);
  expect(Object.keys(page.tiles)).toEqual(["float model", "integer program", "activations at the peak"]);
});

test("of an ONNX file alone has weights and the recipe", async () => {
  const path = folder.path("c.html");
  await json([...quantize, "--data", calibration, ...pixels, "--exclude", "Conv_0", "-o", folder.path("c.onnx"), "--report", path]);
  const page = readPage(path);
  expectSelfContained(page);
  expect(page.headings).toEqual(["Weight codes", "Recipe"]);
  expect([...page.document.querySelectorAll(".grid figcaption")].map((caption) => caption.textContent)).not.toContain("Conv_0");
  expect(JSON.parse(page.document.querySelector("pre")!.textContent!)).toMatchObject({
    exclude: ["Conv_0"],
    preprocessing: { mean: [0.286] },
  });
});
