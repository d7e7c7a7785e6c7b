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

/** A sample and what the two networks say of it. */
export interface ComparedSample {
  readonly raw: RawSample;
  /** First answers: index of the largest logit. */
  readonly float: number;
  readonly integer: number;
}

/**
 * Both arithmetics' answers, the samples on which they differ first.
 *
 * @throws HalftoneError of a sample, CANCELLED
 */
export async function compareAnswers(twins: Twins, raws: readonly RawSample[]): Promise<ComparedSample[]> {
  const compared: ComparedSample[] = [];
  for (const raw of raws) {
    const { float, integer } = await twins.answer(raw);
    compared.push({ raw, float: largest(float), integer: largest(integer) });
  }
  return [...compared.filter(({ float, integer }) => float !== integer), ...compared.filter(({ float, integer }) => float === integer)];
}

/** At most 12 of the samples. */
export async function answeredSamples(twins: Twins, raws: readonly RawSample[]): Promise<AnsweredSample[]> {
  return Promise.all(
    (await compareAnswers(twins, raws)).slice(0, shown).map(async ({ raw, float, integer }) => {
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
