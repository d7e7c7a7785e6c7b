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
    const bad = (data as Float32Array).findIndex((x) => Number.isNaN(x) || (weighing.has(name) && !Number.isFinite(x)));
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
