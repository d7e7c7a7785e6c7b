// Calibration samples that count a second time, moved by a few pixels and mirrored.
import { HalftoneError } from "../errors.ts";
import { augment, noAugmentation } from "./network/augment.ts";
import { streamOf } from "./random.ts";
import type { SampleSource } from "./types.ts";

const moves = { ...noAugmentation, shift: 2, mirror: true } as const;
/** Purpose of the random numbers, beside units. */
const purpose = 0xa46;

/** @throws HalftoneError OPTION_INVALID for samples that are no images */
export function movedBesides(source: SampleSource, seed: number): SampleSource {
  const { length } = source;
  return {
    length: 2 * length,
    async read(first, count) {
      const own = Math.max(0, Math.min(count, length - first));
      const parts = [];
      if (own > 0) parts.push(await source.read(first, own));
      if (own < count) {
        const from = Math.max(0, first - length);
        const images = await source.read(from, count - own);
        if (images.dims.length !== 4)
          throw new HalftoneError("OPTION_INVALID", "--augment", `move on samples of ${images.dims.length - 1} axes`, "images");
        parts.push(augment(images, moves, streamOf(seed, purpose, from)));
      }
      const [head] = parts as [(typeof parts)[0]];
      if (parts.length === 1) return head;
      const data = new Float32Array(parts.reduce((sum, { data }) => sum + data.length, 0));
      data.set(head.data as Float32Array);
      data.set(parts[1]!.data as Float32Array, head.data.length);
      return { ...head, dims: [count, ...head.dims.slice(1)], data };
    },
  };
}
