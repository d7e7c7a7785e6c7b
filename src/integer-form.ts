// Whether a network has an integer program, told before any sample is run.
import { HalftoneError } from "./errors.ts";
import { prepare } from "./graph/prepare.ts";
import { lower } from "./lower/lower.ts";
import { readModel } from "./onnx/read.ts";
import { encodeGraph } from "./encode.ts";
import type { QuantizeOptions } from "./quantized/options.ts";
import { Histogram } from "./ranges/histogram.ts";

/**
 * Lowers the network once with ranges of [−1, 1].
 *
 * @throws HalftoneError NO_INTEGER_FORM naming every operator without one; those of the model and of options
 */
export async function checkIntegerForm(model: Uint8Array, options: QuantizeOptions): Promise<void> {
  const unit = new Histogram();
  unit.add(Float32Array.of(-1, 1));
  // Searches for the ranges of narrow weights take long, and no form depends on them.
  const quick: QuantizeOptions = { ...options, weights: 8, overrides: [], ranges: "minmax" };
  const encoded = await encodeGraph(prepare(readModel(model)), quick, async (values) => new Map(values.map((value) => [value, unit])));
  const provenance = { source: "", sourceHash: "", options: {}, seed: 0 };
  try {
    lower({ ...encoded, provenance }, { residual: options.residual });
  } catch (error) {
    // Sums of these ranges say nothing about those of the real ones.
    if (!(error instanceof HalftoneError) || error.code === "NO_INTEGER_FORM") throw error;
  }
}
