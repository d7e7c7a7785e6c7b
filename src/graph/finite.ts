import { HalftoneError } from "../errors.ts";
import type { Graph } from "./types.ts";
import { isFloat } from "./tensors.ts";

/** Operators that take infinity as "no bound" or "never", and with it keep their results finite. */
const boundsOnly: ReadonlySet<string> = new Set(["Clip", "Min", "Max", "Where", "Pad"]);

/**
 * Every float constant is finite, but for infinities that only bound or mask (Clip, Min, Max, Where, Pad).
 * @throws HalftoneError NOT_FINITE naming the constant
 */
export function checkFinite(graph: Graph): void {
  const weighing = new Set(graph.nodes.filter(({ op }) => !boundsOnly.has(op)).flatMap(({ inputs }) => inputs));
  for (const [name, { dtype, data }] of graph.constants) {
    if (!isFloat(dtype)) continue;
    const bad = firstNotFinite(data as Float32Array, weighing.has(name));
    if (bad < 0) continue;
    throw new HalftoneError(
      "NOT_FINITE",
      `constant '${name}'`,
      `${data[bad]} at element ${bad}`,
      "finite numbers",
      "Training may have diverged, or the export may have overflowed: check the model before quantizing it.",
    );
  }
}

/** A plain loop: constants are most of a model, and a callback for each element costs ten times the decoding. */
function firstNotFinite(data: Float32Array, refuseInfinity: boolean): number {
  for (let i = 0; i < data.length; i++) {
    // x − x is 0 for finite x only.
    const x = data[i]!;
    if (x - x !== 0 && (refuseInfinity || Number.isNaN(x))) return i;
  }
  return -1;
}
