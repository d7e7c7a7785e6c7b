// 'halftone/report': what became of a network, as data to draw from and as one HTML page.
export { type CodeHistogram, codeHistogram } from "./codes.ts";
export { type LayerDrift, measureDrift } from "./drift.ts";
export { type LayerRow, layerRows } from "./layers.ts";
export { type ReportInput, writeReport } from "./report.ts";
export { type ComparedSample, compareAnswers } from "./samples.ts";
export { type TwinAnswer, Twins } from "./twins.ts";
