// One picture in both arithmetics.
import {
  createEngine,
  createSession,
  decodeSample,
  type Engine,
  type Plan,
  type Preprocessing,
  type RawSample,
  type Session,
} from "halftone";
import type { Answer, Opinion } from "../protocol.ts";
import { seenPicture } from "./pictures.ts";
import { channelsOf, fitted, type Table } from "./table.ts";

/** Memory: one sample's activations in each arithmetic. */
export class Trial {
  readonly #engine: Engine;
  readonly #preprocessing: Preprocessing;
  readonly #channels: number | undefined;
  #session: Session | undefined;
  #cold = true;

  private constructor(engine: Engine, preprocessing: Preprocessing) {
    this.#engine = engine;
    this.#preprocessing = preprocessing;
    this.#channels = channelsOf(engine.graph);
  }

  static async open({ graph, preprocessing }: Table): Promise<Trial> {
    return new Trial(await createEngine(graph), preprocessing);
  }

  /** From now on the integer program is asked too. */
  async add(plan: Plan): Promise<void> {
    this.#session?.[Symbol.dispose]();
    this.#session = await createSession(plan);
    this.#cold = true;
  }

  /** A picture of any size. @throws HalftoneError of the picture */
  answerOwn(raw: RawSample): Promise<Answer> {
    return this.answer(raw, fitted(this.#preprocessing, this.#engine.graph));
  }

  /** A sample of the data. @throws HalftoneError of the sample */
  async answer(raw: RawSample, preprocessing: Preprocessing = this.#preprocessing): Promise<Answer> {
    const { dims, values } = await decodeSample(raw, preprocessing, this.#channels);
    const seen = raw.format.kind === "array" ? undefined : await seenPicture(raw, preprocessing, this.#channels);
    const { graph } = this.#engine;
    const runFloat = () => {
      const feed = { dtype: "float32", dims: [1, ...dims], data: values } as const;
      return this.#engine.run(new Map([[graph.inputs[0]!, feed]])).get(graph.outputs[0]!)!.data as Float32Array;
    };
    const session = this.#session;
    const runInteger = session && (() => Object.values(session.run(values))[0]!.values);
    // The first run is that of a cold engine.
    if (this.#cold) for (const run of [runFloat, runInteger]) run?.();
    this.#cold = false;
    return { float: timed(runFloat), integer: runInteger && timed(runInteger), seen };
  }

  close(): void {
    this.#session?.[Symbol.dispose]();
  }
}

function timed(run: () => Float32Array): Opinion {
  const started = performance.now();
  const logits = run();
  return { logits: logits.slice(), milliseconds: performance.now() - started };
}
