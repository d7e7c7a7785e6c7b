// What learning made of each part: pictures and a table.
import * as Plot from "@observablehq/plot";
import type { PartReport } from "../quantized/types.ts";
import { decibels } from "./drift.ts";
import { section, tableHtml } from "./page.ts";
import { colours, draw, width } from "./pictures.ts";

interface PartRow {
  readonly index: number;
  readonly name: string;
  /** Signal to noise, dB. */
  readonly before: number;
  readonly after: number;
  /** Shares of the codes, %. */
  readonly moved: number;
  readonly undecided: number;
}

function rowOf({ name, lossBefore, lossAfter, signal, elements, moved, undecided }: PartReport, index: number): PartRow {
  const share = (n: number): number => (100 * n) / Math.max(1, elements);
  return {
    index,
    name,
    before: decibels(signal, lossBefore),
    after: decibels(signal, lossAfter),
    moved: share(moved),
    undecided: share(undecided),
  };
}

const axis = (rows: readonly PartRow[]): Plot.ScaleOptions => ({ label: "part", tickFormat: "d", domain: [-0.5, rows.length - 0.5] });
const layout = { width, marginLeft: 60, marginBottom: 36 } as const;

/** An arrow a part, from the error of the nearest codes to that of the learned ones. */
function errorsPlot(rows: readonly PartRow[]): string {
  const known = rows.filter(({ before, after }) => Number.isFinite(before) && Number.isFinite(after));
  const dot = (y: "before" | "after", fill: string): Plot.Markish =>
    Plot.dot(known, { x: "index", y, fill, r: 3.5, title: (d: PartRow) => `${d.name}: ${d[y].toFixed(1)} dB ${y} learning` });
  return draw("Signal to noise of each part before and after learning", {
    ...layout,
    height: 240,
    x: axis(rows),
    y: { label: "signal to noise, dB", grid: true, zero: true },
    marks: [
      Plot.ruleY([0]),
      Plot.link(known, { x: "index", y1: "before", y2: "after", stroke: colours.accent }),
      dot("before", colours.warm),
      dot("after", colours.accent),
    ],
  });
}

function movedPlot(rows: readonly PartRow[]): string {
  const bar = (y: "moved" | "undecided", fill: string, from: number, to: number): Plot.Markish =>
    Plot.rectY(rows, {
      x1: (d: PartRow) => d.index + from,
      x2: (d: PartRow) => d.index + to,
      y,
      fill,
      title: (d: PartRow) => `${d.name}: ${d[y].toFixed(1)} % ${y}`,
    });
  return draw("Share of codes moved from the nearest, and of roundings left undecided", {
    ...layout,
    height: 180,
    x: axis(rows),
    y: { label: "% of the codes", grid: true },
    marks: [bar("moved", colours.accent, -0.4, 0), bar("undecided", colours.warm, 0, 0.4), Plot.ruleY([0])],
  });
}

/** @param seconds that each part took, where they are known */
export function partsSection(parts: readonly PartReport[], seconds: readonly number[] = []): string {
  const rows = parts.map(rowOf);
  const table = tableHtml(
    ["part", "SQNR before, dB", "after", "moved", "undecided", "codes", ...(seconds.length > 0 ? ["seconds"] : []), "layers"],
    rows.map(({ index, before, after, moved, undecided }) => [
      String(index),
      before.toFixed(1),
      after.toFixed(1),
      `${moved.toFixed(1)} %`,
      `${undecided.toFixed(1)} %`,
      String(parts[index]!.elements),
      ...(seconds.length > 0 ? [(seconds[index] ?? 0).toFixed(1)] : []),
      parts[index]!.weights.join(", "),
    ]),
  );
  return section(
    "Learned parts",
    "Signal to noise of each part's output against the float network, with the nearest codes (warm) and the learned ones; then the share of codes that moved, and of roundings that learning left open (warm).",
    errorsPlot(rows) + movedPlot(rows) + table,
  );
}
