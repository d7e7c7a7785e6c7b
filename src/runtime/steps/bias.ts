import type { Layer } from "./conv.ts";
import { roundUp } from "./image.ts";
import { panelGroup } from "./producer.ts";

/** int32[panels][8]; room for a whole group of panels. */
export function packBias({ bias, first, count }: Layer): Int32Array {
  const packed = new Int32Array(roundUp(count, 8 * panelGroup));
  packed.set(bias.subarray(first, first + count));
  return packed;
}

/** The bias that stands for codes counted from `origin` on. */
export function shiftedBias(layer: Layer, origin: number): Int32Array {
  const { weights, step, first, count, inputs } = layer;
  const taps = step.window[0] * step.window[1] * inputs;
  const packed = packBias(layer);
  for (let o = 0; o < count; o++) {
    const row = weights.subarray((first + o) * taps, (first + o + 1) * taps);
    packed[o]! += origin * row.reduce((sum, w) => sum + w, 0);
  }
  return packed;
}
