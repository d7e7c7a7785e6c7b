import { imageChannels, type ModelInput, modelInput, stackSamples } from "../../data/batch.ts";
import { joined } from "../../data/joined.ts";
import type { Preprocessing, Sample } from "../../data/types.ts";
import { createEngine, type Engine } from "../../engine/index.ts";
import { HalftoneError } from "../../errors.ts";
import { prepare } from "../../graph/prepare.ts";
import { readModel } from "../../onnx/read.ts";
import { createSession } from "../../runtime/index.ts";
import type { TaskContext } from "../context.ts";

/**
 * Elements of input a run of the float engine: small samples share the cost of a step (a whole slice of 28×28), large ones keep memory
 * and the wait for a cancellation short (3 of 3×224×224).
 */
const batchElements = 2 ** 19;

/** Samples a run of the float engine: a function of the model and its input size alone. */
export const batchSize = (input: ModelInput, sample: Sample): number =>
  input.batch ?? Math.max(1, Math.floor(batchElements / sample.values.length));

/** One engine a model and thread, whatever kinds of task run it: weights and activations take tens of megabytes. */
export const sharedEngine = (context: TaskContext, hash: string): Promise<Engine> =>
  context.memo(`engine ${hash}`, () => createEngine(prepare(readModel(context.shared.get(hash)!))));

/** Which arithmetic a file runs in: an ONNX model in float32, a plan in integers. */
export type Arithmetic = "float" | "integer";

/** A model that turns samples into logits, whatever its arithmetic. */
export interface Classifier {
  readonly input: ModelInput;
  /** Of images, where the model's input says so. */
  readonly channels: number | undefined;
  /** The preprocessing that the model itself remembers. */
  readonly preprocessing: Preprocessing | undefined;
  /** First output, [samples, classes] row-major. @param places of the samples, for messages */
  run(samples: readonly Sample[], places: readonly string[], context: TaskContext): Promise<Float32Array>;
}

/** A plan is a safetensors file: after eight bytes of length comes the brace of its header. An ONNX file begins with a field tag. */
export function arithmeticOf(bytes: Uint8Array): Arithmetic {
  return bytes[8] === 0x7b && bytes[6] === 0 && bytes[7] === 0 ? "integer" : "float";
}

/** @param hash of the model among the context's shared inputs */
type Open = (context: TaskContext, hash: string) => Promise<Classifier>;

export const openClassifier: Readonly<Record<Arithmetic, Open>> = {
  async float(context, hash) {
    const engine = await sharedEngine(context, hash);
    const { graph } = engine;
    const input = modelInput(graph);
    return {
      input,
      channels: imageChannels(input.dims),
      preprocessing: undefined,
      async run(samples, places, context) {
        const step = batchSize(input, samples[0]!);
        const parts: Float32Array[] = [];
        for (let start = 0; start < samples.length; start += step) {
          const end = Math.min(start + step, samples.length);
          const feed = stackSamples(samples.slice(start, end), places.slice(start, end), input);
          const output = engine.run(new Map([[input.name, feed]])).get(graph.outputs[0]!)!;
          const rows = input.batch ?? end - start;
          if (output.dtype !== "float32" || output.data.length % rows !== 0) throw notLogits(graph.outputs[0]!, output.dims);
          parts.push((output.data as Float32Array).slice(0, (output.data.length / rows) * (end - start)));
          await context.breathe();
        }
        return joined(parts, Float32Array);
      },
    };
  },

  async integer(context, hash) {
    const session = await context.memo(`session ${hash}`, () => createSession(context.shared.get(hash)!));
    const { plan } = session;
    const value = plan.values[plan.inputs[0]!]!;
    if (plan.inputs.length !== 1)
      throw new HalftoneError("INPUT_MISMATCH", "plan", `${plan.inputs.length} inputs`, "one input for the samples");
    const input: ModelInput = { name: value.name, dims: value.dims, batch: 1 };
    const output = plan.values[plan.outputs[0]!]!.name;
    return {
      input,
      channels: imageChannels(value.dims),
      preprocessing: plan.preprocessing as Preprocessing | undefined,
      async run(samples, places, context) {
        const parts: Float32Array[] = [];
        for (const [i, sample] of samples.entries()) {
          const feed = stackSamples([sample], [places[i]!], input);
          parts.push(session.run({ [input.name]: feed.data as Float32Array })[output]!.values);
          await context.breathe();
        }
        return joined(parts, Float32Array);
      },
    };
  },
};

function notLogits(name: string, dims: readonly number[]): HalftoneError {
  return new HalftoneError("SHAPE_MISMATCH", `output '${name}'`, `[${dims.join(", ")}]`, "float32 [samples, classes]");
}
