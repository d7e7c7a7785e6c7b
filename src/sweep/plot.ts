import * as Plot from "@observablehq/plot";
import { draw } from "../report/pictures.ts";
import { axisNames, isFailed, type Row } from "./types.ts";

interface Point {
  readonly model: string;
  readonly name: string;
  readonly top1: number | undefined;
  readonly agreement: number | undefined;
  readonly float: number | undefined;
}

/** Height of a combination, and of what stands around those of a model, in pixels. */
const rowHeight = 18;
const frame = 44;
const ink = "#1d2733";
const accent = "#0b6e99";
const warm = "#c2571a";

/** Accuracy and agreement of every combination as one SVG picture, one below the other as in the table. */
export function toSvg(rows: readonly Row[]): string {
  const varied = axisNames.filter((axis) => new Set(rows.map(({ choices }) => choices[axis])).size > 1);
  const shown = varied.length > 0 ? varied : axisNames;
  const points = rows.flatMap(({ model, choices, outcome }): Point[] => {
    if (isFailed(outcome)) return [];
    const { evaluation } = outcome;
    const name = shown.map((axis) => choices[axis]).join(" · ");
    return [{ model, name, top1: evaluation.top1, agreement: evaluation.agreement, float: evaluation.against?.top1 }];
  });
  const models = [...new Set(points.map(({ model }) => model))];
  const names = [...new Set(points.map(({ name }) => name))];
  const room = (texts: readonly string[]): number => 24 + 6.4 * Math.max(0, ...texts.map((text) => text.length));
  const svg = draw("Accuracy of every run of a sweep", {
    className: "sweep",
    style: { fontFamily: "system-ui, sans-serif", color: ink, background: "white" },
    width: 860,
    height: Math.max(1, models.length) * (names.length * rowHeight + frame) + frame,
    marginLeft: room(names),
    marginRight: room(models),
    marginTop: frame,
    x: { label: "● top-1, ○ equal answers, | top-1 of the float model, in %", labelArrow: "none", grid: true, nice: true },
    y: { label: null, domain: names, padding: 0.5 },
    fy: { label: null, domain: models, padding: 0.1 },
    marks: [
      Plot.frame({ stroke: ink, strokeOpacity: 0.15 }),
      Plot.tickX(points, { x: "float", y: "name", fy: "model", stroke: ink }),
      Plot.dot(points, { x: "agreement", y: "name", fy: "model", stroke: warm }),
      Plot.dot(points, { x: "top1", y: "name", fy: "model", fill: accent }),
    ],
  });
  // A file of its own must say what it is.
  return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ');
}
