// Models quantized elsewhere: their own codes and scales become a Quantized, as if we had chosen them.
import type { Preprocessing } from "./data/types.ts";
import { HalftoneError } from "./errors.ts";
import type { Graph } from "./graph/types.ts";
import { readQuantized } from "./onnx/quantized.ts";
import { type ReadOptions, readModel } from "./onnx/read.ts";
import type { Quantized } from "./quantized/types.ts";
import { sha256 } from "./tasks/hash.ts";

/** How a model quantized elsewhere is converted. */
export interface ConvertOptions extends ReadOptions {
  /** The file's name, for messages and provenance. */
  readonly name?: string | undefined;
  readonly preprocessing?: Preprocessing | undefined;
  readonly labels?: readonly string[] | undefined;
  /** Values that become the outputs: what computes from them is left out. */
  readonly cut?: readonly string[] | undefined;
}

/**
 * The codes, scales and biases of a QDQ model, or of one made of operators on codes. `lower` makes the same codes of them as the file.
 *
 * @param model bytes of the ONNX file
 * @throws HalftoneError of reading; NO_INTEGER_FORM naming what an integer program cannot be made of; OPTION_INVALID for a cut
 */
export async function convert(model: Uint8Array, options: ConvertOptions = {}): Promise<Quantized> {
  const { name = "model", preprocessing, labels, cut = [] } = options;
  const graph = cutAt(readModel(model, options), cut);
  const converted = cut.length > 0 ? { converted: true, cut } : { converted: true };
  return readQuantized(graph, { source: name, sourceHash: await sha256(model), options: converted, seed: 0, preprocessing, labels });
}

function cutAt(graph: Graph, outputs: readonly string[]): Graph {
  for (const output of outputs) {
    if (!graph.facts.has(output) || graph.constants.has(output) || graph.inputs.includes(output))
      throw new HalftoneError(
        "OPTION_INVALID",
        `cut ${output}`,
        "no computed value of that name",
        "the output of a node",
        "Viewers of ONNX files show the names.",
      );
  }
  return outputs.length > 0 ? { ...graph, outputs } : graph;
}
