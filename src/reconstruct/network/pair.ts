// The float network and its quantized double on one batch: how far the double's answers are, and the gradients of everything learned.
import { createDifferentiable } from "../../engine/reverse.ts";
import type { DeviceTensor, Differentiable } from "../../engine/types.ts";
import type { Encoding } from "../../formats/encoding.ts";
import { subgraph } from "../../graph/subgraph.ts";
import type { Graph, Tensor } from "../../graph/types.ts";
import { convertLayout, sameInBothLayouts, sizeOf } from "../../ops/strided.ts";
import { Buffers } from "../buffers.ts";
import { predictionDifference } from "../objectives.ts";
import { quantizedValues } from "../quantizers.ts";
import { instrument, type Quantizer, scaleName, tables, controlName, weightName } from "../unit.ts";
import type { NumbersLayout, Slot } from "./numbers.ts";

/** What a pair is made of, as plain data. */
export interface PairOrder {
  /** The float network. */
  readonly graph: Graph;
  readonly quantizers: readonly Quantizer[];
  readonly layout: NumbersLayout;
  /** Of the network's input; absent: it stays float. */
  readonly encoding: Encoding | undefined;
  /** Of the answers' softmax. */
  readonly temperature: number;
  /** Values inside the network that are compared too, by squared error as a share of the float value's power. */
  readonly features: readonly string[];
  readonly featureWeight: number;
}

export interface PairResult {
  /** Mean over the batch of KL(float ‖ quantized). */
  readonly divergence: number;
  /** Mean over the features of ‖x̂ − x‖² / ‖x‖². */
  readonly featureError: number;
  /** In the places of the numbers. */
  readonly gradients: Float32Array;
}

/** Both networks, each in an engine of its own. */
export class Pair {
  readonly #teacher: Differentiable;
  readonly #student: Differentiable;
  readonly #order: PairOrder;
  readonly #input: string;
  readonly #answer: string;
  readonly #sums: Map<string, DeviceTensor> = new Map();
  readonly #buffers: Buffers;

  private constructor(teacher: Differentiable, student: Differentiable, order: PairOrder) {
    this.#teacher = teacher;
    this.#student = student;
    this.#buffers = new Buffers(student);
    this.#order = order;
    this.#input = student.graph.inputs[0]!;
    this.#answer = student.graph.outputs[0]!;
    for (const slot of order.layout.slots) {
      const variable = student.variable(constantOf(slot));
      this.#sums.set(constantOf(slot), { ...variable, ptr: student.allocate(slot.length * 4 + 16) });
    }
  }

  static async open(order: PairOrder, module?: WebAssembly.Module): Promise<Pair> {
    const { graph, quantizers, layout, features } = order;
    const outputs = [graph.outputs[0]!, ...features];
    const part = { name: graph.name, nodes: graph.nodes, inputs: graph.inputs, outputs };
    const teacher = await createDifferentiable(subgraph(graph, graph.inputs, outputs), { module, parameters: [] });
    const student = await createDifferentiable(instrument(graph, part, quantizers), {
      module,
      parameters: layout.slots.map(constantOf),
      variables: quantizers.map(({ value }) => controlName(value)),
      ...tables,
    });
    return new Pair(teacher, student, order);
  }

  /** @param input float32 samples, as the float network takes them */
  run(numbers: Float32Array, input: Tensor): PairResult {
    const { slots, length } = this.#order.layout;
    const student = this.#student;
    for (const slot of slots) {
      const at = student.variable(constantOf(slot)).ptr / 4;
      f32(student).set(numbers.subarray(slot.offset, slot.offset + slot.length), at);
    }
    const wanted = this.#teacher.forward(new Map([[this.#input, input]]));
    const made = student.forward(new Map([[this.#input, this.#rounded(input)]]));
    const gradients = new Map<string, DeviceTensor | Tensor>();

    const answer = made.get(this.#answer)!;
    const batch = answer.dims[0]!;
    const classes = sizeOf(answer.dims) / batch;
    const target = this.#teacher.read(wanted.get(this.#answer)!).data as Float32Array;
    const own = student.read(answer).data as Float32Array;
    const { temperature } = this.#order;
    const { loss: divergence, gradient } = predictionDifference({ output: own, target, dims: [batch, classes] }, temperature);
    const unit = temperature * temperature;
    gradients.set(this.#answer, { dtype: "float32", dims: answer.dims, data: Float32Array.from(gradient, (g) => g * unit) });

    let featureError = 0;
    const { features, featureWeight } = this.#order;
    for (const name of featureWeight > 0 ? features : []) {
      const output = made.get(name)!;
      const n = sizeOf(output.dims);
      const aimed = this.#transferred(name, wanted.get(name)!, output);
      const d = this.#buffers.floats(`gradient of ${name}`, n);
      const power = student.kernels.lpLoss(d, aimed, this.#zeros(n), n, 2, 1);
      const share = 1 / (Math.max(power, 1e-12) * features.length);
      featureError += student.kernels.lpLoss(d, output.ptr, aimed, n, 2, share * featureWeight) / featureWeight;
      gradients.set(name, { ...output, ptr: d });
    }

    for (const slot of slots) student.kernels.fill(this.#sums.get(constantOf(slot))!.ptr, 0, slot.length);
    student.backward(gradients, this.#sums);
    const out = new Float32Array(length);
    for (const slot of slots) {
      const at = this.#sums.get(constantOf(slot))!.ptr / 4;
      out.set(f32(student).subarray(at, at + slot.length), slot.offset);
    }
    return { divergence, featureError, gradients: out };
  }

  /** The input as its codes say it. */
  #rounded(input: Tensor): Tensor {
    const { encoding } = this.#order;
    return encoding ? { ...input, data: quantizedValues(input.data as Float32Array, encoding) } : input;
  }

  /** A value of the float network in the other's memory and layout. */
  #transferred(name: string, from: DeviceTensor, like: DeviceTensor): number {
    const n = sizeOf(from.dims);
    const ptr = this.#buffers.floats(`target ${name}`, n);
    f32(this.#student).set(f32(this.#teacher).subarray(from.ptr / 4, from.ptr / 4 + n), ptr / 4);
    if (from.layout === like.layout || sameInBothLayouts(from.dims)) return ptr;
    const other = this.#buffers.floats(`converted ${name}`, n);
    convertLayout(this.#student.kernels, other, { ...from, ptr }, like.layout);
    return other;
  }

  #zeros(n: number): number {
    const ptr = this.#buffers.floats("zeros", n);
    this.#student.kernels.fill(ptr, 0, n);
    return ptr;
  }
}

const f32 = (engine: Differentiable): Float32Array => new Float32Array(engine.memory.buffer);

function constantOf({ kind, name, constant }: Slot): string {
  if (kind === "weight") return weightName(name);
  return kind === "step" ? scaleName(name) : constant;
}
