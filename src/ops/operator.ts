import type { Fact, GraphNode, Tensor } from "../graph/types.ts";

/**
 * What the house knows of one ONNX operator before speed: its shapes and its meaning.
 * The float kernel (`ops/<family>.forward.ts`) and the integer lowering (`ops/<family>.lower.ts`) stand beside it.
 */
export interface Operator {
  /** ONNX name, e.g. "Conv". */
  readonly op: string;
  /** Of operators that are not ONNX's own: "com.microsoft". */
  readonly domain?: string | undefined;
  /** Fewest and most inputs. */
  readonly arity: readonly [number, number];
  /**
   * Types and shapes of the outputs, in order. Inputs may be partly unknown; absent optional inputs are undefined.
   * @throws HalftoneError SHAPE_MISMATCH naming the node when the inputs cannot fit
   */
  infer(node: GraphNode, inputs: readonly (Fact | undefined)[]): Fact[];
  /** The meaning in plain TypeScript, for every element type the operator allows: the oracle of all kernels, and the fallback of the engine. */
  reference(node: GraphNode, inputs: readonly (Tensor | undefined)[]): Tensor[];
}
