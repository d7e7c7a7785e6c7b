// The plots of a report, as SVG text: drawn once, readable offline, without scripts.
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import type { QuantizedWeight } from "../quantized/types.ts";
import { codeHistogram } from "./codes.ts";
import type { LayerRow } from "./layers.ts";

const { document } = parseHTML("<!doctype html><html><body></body></html>");
export const width = 960;
/** The page's colours, light or dark. */
export const colours = { accent: "var(--accent)", warm: "var(--warm)", quiet: "var(--line)" } as const;

/** One plot as SVG text. @param what it shows, for those who do not see it */
export function draw(what: string, options: Plot.PlotOptions): string {
  const style = { fontFamily: "inherit", color: "inherit", background: "none" };
  const svg = Plot.plot({ document: document as unknown as Document, style, ariaLabel: what, ...options });
  if (options.width === width) svg.classList.add("wide");
  return svg.outerHTML;
}

/** Both plots along the network share their axis. */
const ends = (layers: readonly LayerRow[]): [number, number] => [-0.5, layers.length - 0.5];

/** Signal-to-noise ratio of every layer, along the network. */
export function sqnrPlot(layers: readonly LayerRow[]): string {
  const known = layers.filter(({ sqnrDb }) => sqnrDb !== undefined && Number.isFinite(sqnrDb));
  return draw("Signal to noise of every step", {
    width,
    height: 240,
    marginLeft: 60,
    marginBottom: 36,
    x: { label: "step of the program", tickFormat: "d", domain: ends(layers) },
    y: { label: "signal to noise, dB", grid: true, zero: true },
    marks: [
      Plot.ruleY([0]),
      Plot.line(known, { x: "index", y: "sqnrDb", stroke: colours.accent }),
      Plot.dot(known, {
        x: "index",
        y: "sqnrDb",
        fill: colours.accent,
        r: 3,
        title: (d: LayerRow) => `${d.name}: ${d.sqnrDb!.toFixed(1)} dB`,
      }),
    ],
  });
}

/** Bytes of constants of every layer. */
export function bytesPlot(layers: readonly LayerRow[]): string {
  return draw("Bytes of constants of every step", {
    width,
    height: 180,
    marginLeft: 60,
    marginBottom: 36,
    x: { label: "step of the program", tickFormat: "d", domain: ends(layers) },
    y: { label: "bytes of constants", grid: true },
    marks: [
      Plot.rectY(layers, {
        x1: (d: LayerRow) => d.index - 0.45,
        x2: (d: LayerRow) => d.index + 0.45,
        y: "bytes",
        fill: colours.warm,
        title: (d: LayerRow) => `${d.name}: ${d.bytes} bytes`,
      }),
      Plot.ruleY([0]),
    ],
  });
}

/** How often each code occurs in a layer's weights. */
export function codesPlot(weight: QuantizedWeight): string {
  const { lo, hi, step, counts } = codeHistogram(weight);
  return draw("How often each code occurs", {
    width: 220,
    height: 84,
    marginLeft: 18,
    marginRight: 18,
    marginTop: 4,
    x: { label: null, ticks: [lo, 0, hi] },
    y: { axis: null },
    marks: [
      Plot.rectY(
        counts.map((count, i) => ({ from: lo + i * step, to: lo + (i + 1) * step, count })),
        { x1: "from", x2: "to", y: "count", fill: colours.accent, insetLeft: 0.3, insetRight: 0.3 },
      ),
      Plot.ruleY([0], { stroke: colours.quiet }),
    ],
  });
}
