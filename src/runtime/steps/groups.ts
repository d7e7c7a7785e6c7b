import type { ConvStep } from "../../plan/types.ts";
import type { CodedWeights } from "../../plan/weights.ts";
import type { Image } from "./image.ts";

/** A convolution's groups and weights [O][kh][kw][I / groups]. */
export interface Grouped {
  readonly step: ConvStep;
  readonly weights: Int8Array;
  readonly coded: CodedWeights | undefined;
}

/**
 * Groups of at most 4 outputs leave most lanes of a panel of 8 empty: as many neighbours as fill one become one group, with zeros where
 * an output does not see an input. The products are as many, in fewer and longer runs.
 */
export function mergeGroups({ step, weights, coded }: Grouped, x: Image, y: Image): Grouped {
  const { groups } = step;
  const [inputs, outputs] = [x.channels / groups, y.channels / groups];
  const fill = [8, 7, 6, 5, 4, 3, 2].find((n) => groups % n === 0 && n * outputs <= 8);
  if (fill === undefined) return { step, weights, coded };
  const merged = new Int8Array(weights.length * fill);
  const taps = step.window[0] * step.window[1];
  for (let o = 0; o < y.channels; o++) {
    const place = (Math.floor(o / outputs) % fill) * inputs;
    for (let t = 0; t < taps; t++) {
      const from = (o * taps + t) * inputs;
      merged.set(weights.subarray(from, from + inputs), (o * taps + t) * inputs * fill + place);
    }
  }
  return { step: { ...step, groups: groups / fill, codes: undefined }, weights: merged, coded: undefined };
}
