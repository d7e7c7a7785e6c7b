// One HTML page that says how a network came through: accuracy, every layer, weights, and a few samples with both answers.
import type { Dataset, Preprocessing } from "../data/types.ts";
import type { Evaluation } from "../evaluate.ts";
import type { Plan } from "../plan/types.ts";
import type { Quantized } from "../quantized/types.ts";
import { measureDrift } from "./drift.ts";
import { type LayerRow, layerRows } from "./layers.ts";
import { partsSection } from "./parts.ts";
import { escaped, page, section, tableHtml, tiles } from "./page.ts";
import { bytesPlot, codesPlot, sqnrPlot } from "./pictures.ts";
import { type AnsweredSample, answeredSamples } from "./samples.ts";
import { Twins } from "./twins.ts";

/** What a report tells of. */
export interface ReportInput {
  readonly quantized: Quantized;
  /** Absent when nodes were excluded and only an ONNX file was written. */
  readonly plan: Plan | undefined;
  readonly model: Uint8Array;
  readonly accuracy: Evaluation | undefined;
  /** Held-back samples if there are any, else the calibration samples. */
  readonly dataset: Dataset;
  readonly preprocessing: Preprocessing;
  /** Size of the written program. */
  readonly planBytes: number | undefined;
  /** Seconds that each learned part took. */
  readonly partSeconds?: readonly number[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Samples that the drift of the layers is measured on. */
const driftSamples = 8;
/** Samples among which those are looked for on which the two answers differ. */
const lookedAt = 96;

/** One HTML page without scripts or outside addresses. @throws HalftoneError of a sample, CANCELLED */
export async function writeReport(input: ReportInput): Promise<string> {
  const { quantized, plan, preprocessing } = input;
  const { source, options } = quantized.provenance;
  const sections: string[] = [tiles(summary(input))];
  if (plan) sections.push(...(await comparison(input, plan)));
  const { parts = [] } = quantized.provenance;
  if (parts.length > 0) sections.push(partsSection(parts, input.partSeconds));
  const histograms = [...quantized.weights].map(
    ([name, weight]) => `<figure>${codesPlot(weight)}<figcaption>${escaped(name)}</figcaption></figure>`,
  );
  sections.push(section("Weight codes", "How often each code occurs, layer by layer.", `<div class="grid">${histograms.join("")}</div>`));
  sections.push(section("Recipe", "", `<pre>${escaped(JSON.stringify({ ...options, preprocessing }, null, 2))}</pre>`));
  return page(`${source} in integers`, sections);
}

/** Sections that need both arithmetics. */
async function comparison({ quantized, model, dataset, preprocessing, signal }: ReportInput, plan: Plan): Promise<string[]> {
  const raws = await dataset.read(0, Math.min(lookedAt, dataset.length));
  const compared = raws.slice(0, driftSamples);
  const twins = await Twins.open(model, plan, preprocessing, signal);
  try {
    const rows = layerRows(plan, await measureDrift(twins, compared));
    const samples = await answeredSamples(twins, raws);
    return [
      section(
        "Along the network",
        `Signal to noise of each step's output against the float network, over ${compared.length} samples; then the bytes of its weights, biases, multipliers and tables.`,
        sqnrPlot(rows) + bytesPlot(rows),
      ),
      section(
        "Samples",
        samples.some(({ float, integer }) => float !== integer)
          ? `Of the first ${raws.length} samples; those on which the two answers differ come first.`
          : `The two answers are the same on each of the first ${raws.length} samples.`,
        `<div class="samples">${samples.map((s) => sampleHtml(s, quantized.provenance.labels)).join("")}</div>`,
      ),
      section("Layers", "", layerTable(rows)),
    ];
  } finally {
    twins.close();
  }
}

function summary({ accuracy, model, planBytes, plan }: ReportInput): [string, string][] {
  const entries: [string, string | undefined][] = [
    ["float top-1", accuracy?.against && `${accuracy.against.top1.toFixed(2)} %`],
    ["integer top-1", accuracy?.top1 !== undefined ? `${accuracy.top1.toFixed(2)} %` : undefined],
    ["equal answers", accuracy?.agreement !== undefined ? `${accuracy.agreement.toFixed(2)} %` : undefined],
    ["logits", accuracy?.logitSqnrDb !== undefined ? `${accuracy.logitSqnrDb.toFixed(1)} dB` : undefined],
    ["samples held back", accuracy?.samples.toLocaleString("en-US")],
    ["float model", kilobytes(model.length)],
    ["integer program", planBytes === undefined ? undefined : kilobytes(planBytes)],
    ["activations at the peak", plan && kilobytes(plan.arenaBytes)],
  ];
  return entries.filter((entry): entry is [string, string] => entry[1] !== undefined);
}

const kilobytes = (bytes: number): string => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`);

function layerTable(rows: readonly LayerRow[]): string {
  return tableHtml(
    ["step", "kernel", "output", "bytes", "SQNR dB", "accumulator", "nodes"],
    rows.map(({ index, kernel, dims, type, bytes, sqnrDb, accumulator, name }) => [
      String(index),
      kernel,
      `${dims.join("×")} ${type}`,
      String(bytes),
      sqnrDb === undefined ? "" : sqnrDb.toFixed(1),
      accumulator ? `${accumulator[0]} … ${accumulator[1]}` : "",
      name,
    ]),
  );
}

function sampleHtml({ picture, place, label, float, integer }: AnsweredSample, labels: readonly string[] | undefined): string {
  const name = (index: number): string => escaped(labels?.[index] ?? String(index));
  const image = picture ? `<img src="${picture}" alt="${escaped(place)}">` : "";
  const verdict = float === integer ? "same" : "different";
  const truth = label >= 0 ? `<dt>label</dt><dd>${name(label)}</dd>` : "";
  return `<figure class="sample ${verdict}">${image}<figcaption><dl>${truth}<dt>float</dt><dd>${name(float)}</dd><dt>integer</dt><dd>${name(integer)}</dd></dl></figcaption></figure>`;
}
