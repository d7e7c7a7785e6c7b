// A few samples with the answers of both arithmetics: those on which they differ first.
import { encode } from "fast-png";
import { decodeImage } from "../data/index.ts";
import type { RawSample } from "../data/types.ts";
import type { Twins } from "./twins.ts";

export interface AnsweredSample {
  readonly place: string;
  /** A PNG as a data: address, or undefined for samples that are no pictures. */
  readonly picture: string | undefined;
  readonly label: number;
  readonly float: number;
  readonly integer: number;
}

const shown = 12;

/** At most 12 of the samples. */
export async function answeredSamples(twins: Twins, raws: readonly RawSample[]): Promise<AnsweredSample[]> {
  const { engine, session } = twins;
  const output = session.plan.values[session.plan.outputs[0]!]!.name;
  const answered: { raw: RawSample; float: number; integer: number }[] = [];
  for (const raw of raws) {
    const { floats, values } = await twins.feed(raw);
    const answer = engine.run(floats).get(engine.graph.outputs[0]!)!;
    answered.push({ raw, float: largest(answer.data as Float32Array), integer: largest(session.run(values)[output]!.values) });
  }
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
