// What the commands say of programs that take stored numbers.
import type { Dataset, Preprocessing } from "../data/types.ts";
import type { Plan } from "../plan/types.ts";
import { firstLayersDb } from "../report/drift.ts";
import { type PixelBorder, pixelBorders } from "../report/pixels.ts";
import { Twins } from "../report/twins.ts";

/** Calibration samples that the first layers' error is measured on. */
const measuredSamples = 4;

export interface PixelErrors {
  readonly borders: readonly PixelBorder[];
  readonly firstLayersDb: number;
}

/** The first layers against the float network. */
export async function pixelErrors(
  model: Uint8Array,
  plan: Plan,
  dataset: Dataset,
  preprocessing: Preprocessing,
  signal: AbortSignal,
): Promise<PixelErrors> {
  const twins = await Twins.open(model, plan, preprocessing, signal);
  try {
    const samples = await dataset.read(0, Math.min(measuredSamples, dataset.length));
    return { borders: pixelBorders(plan), firstLayersDb: await firstLayersDb(twins, samples) };
  } finally {
    twins.close();
  }
}

export function pixelLine({ borders, firstLayersDb }: PixelErrors): string {
  const largest = Math.max(0, ...borders.flatMap(({ errors }) => errors.map(Math.abs)));
  const border = borders.length > 0 ? ` · border ${largest.toFixed(2)} of a step off the mean at most` : "";
  return `stored numbers as they are${border} · first layer at ${firstLayersDb.toFixed(1)} dB`;
}

/** The input's codes are stored numbers; what stands around them, beside the mean that it stands for. */
export function pixelText(plan: Plan): string {
  const { scale, mean, std } = plan.preprocessing as Preprocessing;
  const borders = pixelBorders(plan).map(({ values, errors }) => {
    const signed = errors.map((error) => `${error < 0 ? "−" : "+"}${Math.abs(error).toFixed(2)}`);
    return ` · border ${values.join(", ")} (mean ${signed.join(", ")})`;
  });
  return `stored numbers v · x = (v · ${scale.toPrecision(4)} − ${mean.join(", ")}) / ${std.join(", ")} in the weights${borders.join("")}`;
}
