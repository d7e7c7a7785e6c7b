// The plots of a report, as SVG text: drawn once, readable offline, without scripts.
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import type { QuantizedWeight } from "../quantized/types.ts";

const { document } = parseHTML("<!doctype html><html><body></body></html>");
const width = 960;
export const colours = { ink: "#1d2733", accent: "#0b6e99", warm: "#c2571a", quiet: "#b8c4cc" } as const;

const draw = (options: Plot.PlotOptions): string =>
  Plot.plot({ document: document as unknown as Document, style: { fontFamily: "inherit", color: colours.ink }, ...options }).outerHTML;

export interface LayerRow {
  readonly index: number;
  readonly name: string;
  readonly kernel: string;
  readonly bytes: number;
  /** Absent where the float network has no such value. */
  readonly sqnrDb?: number | undefined;
}

/** Signal-to-noise ratio of every layer, along the network. */
export function sqnrPlot(layers: readonly LayerRow[]): string {
  const known = layers.filter(({ sqnrDb }) => sqnrDb !== undefined && Number.isFinite(sqnrDb));
  return draw({
    width,
    height: 240,
    marginBottom: 36,
    x: { label: "step of the program", tickFormat: "d" },
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
  return draw({
    width,
    height: 180,
    marginLeft: 60,
    marginBottom: 36,
    x: { label: "step of the program", interval: 1, tickFormat: "d", ticks: 20 },
    y: { label: "bytes of constants", grid: true },
    marks: [
      Plot.rectY(layers, {
        x: "index",
        y: "bytes",
        interval: 1,
        fill: colours.warm,
        title: (d: LayerRow) => `${d.name}: ${d.bytes} bytes`,
      }),
      Plot.ruleY([0]),
    ],
  });
}

/** How often each code occurs in a layer's weights. */
export function codesPlot(weight: QuantizedWeight): string {
  const levels = weight.encoding.levels;
  const lo = levels.kind === "linear" ? levels.lo : 0;
  const hi = levels.kind === "linear" ? levels.hi : levels.levels.length - 1;
  const step = Math.max(1, Math.round((hi - lo + 1) / 64));
  const bins = new Array<number>(Math.floor((hi - lo) / step) + 1).fill(0);
  for (const code of weight.codes) bins[Math.floor((code - lo) / step)]!++;
  return draw({
    width: 220,
    height: 84,
    marginLeft: 14,
    marginRight: 14,
    marginTop: 4,
    x: { label: null, ticks: [lo, 0, hi] },
    y: { axis: null },
    marks: [
      Plot.rectY(
        bins.map((count, i) => ({ from: lo + i * step, to: lo + (i + 1) * step, count })),
        { x1: "from", x2: "to", y: "count", fill: colours.accent, insetLeft: 0.3, insetRight: 0.3 },
      ),
      Plot.ruleY([0], { stroke: colours.quiet }),
    ],
  });
}
