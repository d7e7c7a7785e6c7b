// A float network and the integer program made of it, on the same samples, one at a time.
import { decodeSample, fitSample, imageChannels } from "../data/index.ts";
import type { Preprocessing, RawSample } from "../data/types.ts";
import { createEngine, type Engine } from "../engine/index.ts";
import { throwIfAborted } from "../errors.ts";
import { prepare } from "../graph/prepare.ts";
import type { Tensor } from "../graph/types.ts";
import { readModel } from "../onnx/read.ts";
import type { Plan } from "../plan/types.ts";
import { createSession, type Session } from "../runtime/index.ts";

/** First outputs of both, and how long each took. */
export interface TwinAnswer {
  readonly float: Float32Array;
  readonly integer: Float32Array;
  readonly milliseconds: { readonly float: number; readonly integer: number };
}

/** Memory: one sample's activations in each arithmetic. */
export class Twins {
  readonly engine: Engine;
  readonly session: Session;
  readonly #preprocessing: Preprocessing;
  readonly #signal: AbortSignal | undefined;

  private constructor(engine: Engine, session: Session, preprocessing: Preprocessing, signal: AbortSignal | undefined) {
    this.engine = engine;
    this.session = session;
    this.#preprocessing = preprocessing;
    this.#signal = signal;
  }

  /** @throws HalftoneError of the model or the plan */
  static async open(model: Uint8Array, plan: Plan, preprocessing: Preprocessing, signal?: AbortSignal): Promise<Twins> {
    const engine = await createEngine(prepare(readModel(model)));
    return new Twins(engine, await createSession(plan, { signal }), preprocessing, signal);
  }

  /**
   * A sample as both take it.
   *
   * @throws HalftoneError of the sample; CANCELLED, which is let through before each sample
   */
  async feed(raw: RawSample): Promise<{ readonly floats: ReadonlyMap<string, Tensor>; readonly values: Float32Array }> {
    await new Promise((resolve) => setTimeout(resolve));
    throwIfAborted(this.#signal, "comparison");
    const { plan } = this.session;
    const { dims, name } = plan.values[plan.inputs[0]!]!;
    const sample = await decodeSample(raw, this.#preprocessing, imageChannels(dims));
    const own = fitSample(sample, { name, dims, batch: 1 }, raw.place);
    const feed = { dtype: "float32" as const, dims: [1, ...own], data: sample.values };
    return { floats: new Map([[this.engine.graph.inputs[0]!, feed]]), values: sample.values };
  }

  /**
   * Both networks' logits of a sample.
   *
   * @throws HalftoneError of the sample, CANCELLED
   */
  async answer(raw: RawSample): Promise<TwinAnswer> {
    const { floats, values } = await this.feed(raw);
    const { plan } = this.session;
    const started = performance.now();
    const float = this.engine.run(floats).get(this.engine.graph.outputs[0]!)!;
    const between = performance.now();
    const integer = this.session.run(values)[plan.values[plan.outputs[0]!]!.name]!;
    const milliseconds = { float: between - started, integer: performance.now() - between };
    return { float: float.data as Float32Array, integer: integer.values, milliseconds };
  }

  /** Lets the memory of both go. */
  close(): void {
    this.session[Symbol.dispose]();
  }
}
