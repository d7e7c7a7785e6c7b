import { HalftoneError } from "../errors.ts";
import type { Dim, Graph, Tensor } from "../graph/types.ts";
import type { Sample } from "./types.ts";

/** What a model wants of one sample. */
export interface ModelInput {
  readonly name: string;
  /** Without the batch: [C, H, W], [D] …; a name stands for a size that the model leaves open. */
  readonly dims: readonly Dim[];
  /** The batch size that the model insists on, or undefined where it is free. */
  readonly batch: number | undefined;
}

/** @throws HalftoneError INPUT_MISMATCH for a model that samples of one array cannot feed */
export function modelInput(graph: Graph): ModelInput {
  const [name] = graph.inputs;
  const fact = name === undefined ? undefined : graph.facts.get(name);
  if (name === undefined || graph.inputs.length > 1)
    throw new HalftoneError(
      "INPUT_MISMATCH",
      "model",
      `inputs ${graph.inputs.map((input) => `'${input}'`).join(", ") || "none"}`,
      "one input for the samples",
    );
  if (fact?.dtype !== "float32" || !fact.dims || fact.dims.length === 0)
    throw new HalftoneError(
      "INPUT_MISMATCH",
      `input '${name}'`,
      `${fact?.dtype} of ${fact?.dims?.length ?? "unknown"} axes`,
      "float32 [batch, …]",
    );
  const [batch, ...dims] = fact.dims;
  return { name, dims, batch: typeof batch === "number" ? batch : undefined };
}

/** 1 or 3 where the model takes images of that many channels: what decodeSample converts pictures to. */
export function imageChannels(dims: readonly Dim[]): number | undefined {
  const channels = dims.length === 3 ? dims[0] : undefined;
  return channels === 1 || channels === 3 ? channels : undefined;
}

/** The sample's own dims where it fits the model, up to axes of 1. @throws HalftoneError DATA_MISMATCH naming the sample */
export function fitSample(sample: Sample, input: ModelInput, place: string): readonly number[] {
  const same =
    sample.dims.length === input.dims.length && input.dims.every((dim, axis) => typeof dim === "string" || dim === sample.dims[axis]);
  if (same) return sample.dims;
  const known = input.dims.every((dim) => typeof dim === "number") ? (input.dims as readonly number[]) : undefined;
  const wide = (dims: readonly number[]): string => dims.filter((dim) => dim !== 1).join("×");
  if (known && wide(known) === wide(sample.dims)) return known;
  throw new HalftoneError(
    "DATA_MISMATCH",
    place,
    `a sample of ${sample.dims.join("×")}`,
    `${input.dims.join("×")} for input '${input.name}'`,
    "Bring images to the model's size: --resize, --crop.",
  );
}

/**
 * Samples one after the other as the model's input [n, …]. For a model of a fixed batch the last sample is repeated up to it; its
 * surplus outputs are to be left out.
 *
 * @param places of the samples, for messages
 */
export function stackSamples(samples: readonly Sample[], places: readonly string[], input: ModelInput): Tensor {
  const count = input.batch ?? samples.length;
  const dims = fitSample(samples[0]!, input, places[0]!);
  const size = dims.reduce((product, dim) => product * dim, 1);
  const data = new Float32Array(count * size);
  for (let i = 0; i < count; i++) {
    const at = Math.min(i, samples.length - 1);
    const own = fitSample(samples[at]!, input, places[at]!);
    if (own.some((dim, axis) => dim !== dims[axis]))
      throw new HalftoneError(
        "DATA_MISMATCH",
        places[at]!,
        `a sample of ${own.join("×")}`,
        `${dims.join("×")}, as ${places[0]} has`,
        "Resize or crop to one size.",
      );
    data.set(samples[at]!.values, i * size);
  }
  return { dtype: "float32", dims: [count, ...dims], data };
}
