// A few samples with the answers of both arithmetics: those on which they differ first.
import { encode } from "fast-png";
import { decodeImage, decodeSample } from "../data/index.ts";
import type { Dataset, Preprocessing, RawSample } from "../data/types.ts";
import { createEngine } from "../engine/index.ts";
import { prepare } from "../graph/prepare.ts";
import { readModel } from "../onnx/read.ts";
import type { Plan } from "../plan/types.ts";
import { createSession } from "../runtime/index.ts";

export interface AnsweredSample {
  readonly place: string;
  /** A PNG as a data: address, or undefined for samples that are no pictures. */
  readonly picture: string | undefined;
  readonly label: number;
  readonly float: number;
  readonly integer: number;
}

/** How many samples are looked at, and how many of them shown. */
const looked = 96;
const shown = 12;

export async function answeredSamples(
  model: Uint8Array,
  plan: Plan,
  dataset: Dataset,
  preprocessing: Preprocessing,
): Promise<AnsweredSample[]> {
  const engine = await createEngine(prepare(readModel(model)));
  const session = await createSession(plan);
  const { dims } = plan.values[plan.inputs[0]!]!;
  const output = plan.values[plan.outputs[0]!]!.name;
  const raws = await dataset.read(0, Math.min(looked, dataset.length));
  const answered: { raw: RawSample; float: number; integer: number }[] = [];
  for (const raw of raws) {
    const { values } = await decodeSample(raw, preprocessing, dims.length === 3 ? dims[0] : undefined);
    const feed = { dtype: "float32" as const, dims: [1, ...dims], data: values };
    const floats = engine.run(new Map([[engine.graph.inputs[0]!, feed]])).get(engine.graph.outputs[0]!)!;
    answered.push({ raw, float: largest(floats.data as Float32Array), integer: largest(session.run(values)[output]!.values) });
  }
  session[Symbol.dispose]();
  const different = answered.filter(({ float, integer }) => float !== integer);
  const same = answered.filter(({ float, integer }) => float === integer);
  return Promise.all(
    [...different, ...same].slice(0, shown).map(async ({ raw, float, integer }) => {
      return { place: raw.place, picture: await pictureOf(raw), label: raw.label, float, integer };
    }),
  );
}

function largest(values: Float32Array): number {
  return values.reduce((best, value, i) => (value > values[best]! ? i : best), 0);
}

async function pictureOf(raw: RawSample): Promise<string | undefined> {
  if (raw.format.kind === "array") return undefined;
  const { width, height, channels, data } = await decodeImage(raw);
  const png = encode({ width, height, channels, data: interleaved(data, width * height, channels), depth: 8 });
  return `data:image/png;base64,${base64(png)}`;
}

/** Planes to pixels. */
function interleaved(planes: Uint8Array, pixels: number, channels: number): Uint8Array {
  return planes.map((_, i) => planes[(i % channels) * pixels + Math.floor(i / channels)]!);
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
