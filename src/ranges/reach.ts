// How far each channel of a value reaches: the largest magnitude. A maximum: any cut of the samples and any order give the same numbers.
import type { DeviceTensor } from "../engine/types.ts";

/**
 * Takes the channels of [N, C, …] or [N, C] into account.
 *
 * @param memory float32 view of the memory that the tensor lies in
 * @param into   largest magnitude so far, [C]
 */
export function addReach({ ptr, dims, layout }: DeviceTensor, memory: Float32Array, into: Float32Array): void {
  const channels = into.length;
  const size = dims.reduce((product, d) => product * d, 1);
  const start = ptr / 4;
  const end = start + size;
  if (layout === "channels-last" || size === dims[0]! * channels) {
    for (let at = start; at < end; at += channels) {
      for (let c = 0; c < channels; c++) {
        const x = Math.abs(memory[at + c]!);
        if (x > into[c]!) into[c] = x;
      }
    }
    return;
  }
  const each = size / (dims[0]! * channels);
  for (let at = start, c = 0; at < end; at += each, c = c + 1 === channels ? 0 : c + 1) {
    let most = into[c]!;
    for (let i = at; i < at + each; i++) {
      const x = Math.abs(memory[i]!);
      if (x > most) most = x;
    }
    into[c] = most;
  }
}
