import type { Graph, GraphNode, Tensor } from "../graph/types.ts";
import type { Operator } from "../ops/operator.ts";
import type { FloatKernels } from "./kernels.ts";

/**
 * Physical order of a float32 value in linear memory. `row-major` is ONNX's own; `channels-last` is [N, spatial…, C] of a value
 * whose logical dims are [N, C, spatial…] (rank 3 to 5).
 */
export type Layout = "row-major" | "channels-last";

/** A float32 value in linear memory; `dims` are logical. `ptr` is 16-byte aligned, and 16 bytes beyond the end may be read. */
export interface DeviceTensor {
  readonly dims: readonly number[];
  readonly layout: Layout;
  readonly ptr: number;
}

/** What a forward kernel may use. Nothing else: kernels hold no state. */
export interface ForwardContext<Kernels> {
  readonly kernels: Kernels;
  /** Scratch memory, freed after the step. Bytes; 16-byte aligned. */
  scratch(bytes: number): number;
  /** Memory made once for this node and kept (packed weights): `fill` writes into the given float32 view the first time. */
  once(node: GraphNode, key: string, length: number, fill: (view: Float32Array) => void): number;
  /** The constant tensor behind an input, or undefined. */
  constant(name: string): Tensor | undefined;
  /** Current view of linear memory; never keep it across a call that may allocate. */
  readonly f32: Float32Array;
}

/** A row of the table of float.wasm implementations: one operator on float32 inputs. */
export interface ForwardKernel<Kernels> {
  readonly op: string;
  /** Layout the activations must have: one of them, or `any` (element-wise: output keeps the layout of the first input). */
  readonly layout: Layout | "any";
  /** True when the output may take the place of the first input, if they have the same sizes and nobody reads the input later. */
  readonly inPlace?: boolean;
  /** False where the reference must run instead; called with concrete dims. */
  accepts(node: GraphNode, dims: readonly (readonly number[] | undefined)[], constant: (name: string) => Tensor | undefined): boolean;
  run(
    context: ForwardContext<Kernels>,
    node: GraphNode,
    inputs: readonly (DeviceTensor | undefined)[],
    outputs: readonly DeviceTensor[],
  ): void;
}

/** What the gradient of one input is made of, besides the gradients of the outputs: positions of inputs and outputs. */
export interface Reads {
  readonly inputs?: readonly number[] | "all";
  readonly outputs?: readonly number[] | "all";
}

/** A row of the table of gradients: one operator of float.wasm, backwards. */
export interface GradientKernel<Kernels> {
  readonly op: string;
  /** Layout that values and gradients have: one of them, or `any`: the one the forward pass had. Weights behind the first operand are row-major. */
  readonly layout: Layout | "any";
  /** By input whose gradient is wanted; the last row stands for all further inputs. Nothing else of the forward pass is kept. */
  readonly reads: readonly Reads[];
  /** True when the gradient of the first input, if it alone is wanted, may take the place of that of the first output. */
  readonly inPlace?: boolean;
  /** True where the gradient of input i is that of the first output, element by element in the same order: nothing is computed. */
  passes?(input: readonly number[], output: readonly number[], i: number): boolean;
  /** False where the row cannot serve; called with concrete dims. Without it: wherever the forward kernel can. */
  accepts?(node: GraphNode, dims: readonly (readonly number[] | undefined)[], constant: (name: string) => Tensor | undefined): boolean;
  /**
   * Writes (does not add) the gradients that are wanted.
   *
   * @param inputs          values of the forward pass; `ptr` is 0 where `reads` does not name them
   * @param outputs         likewise
   * @param outputGradients one for each output
   * @param inputGradients  where each goes; undefined where it is not wanted
   */
  backward(
    context: ForwardContext<Kernels>,
    node: GraphNode,
    inputs: readonly (DeviceTensor | undefined)[],
    outputs: readonly DeviceTensor[],
    outputGradients: readonly DeviceTensor[],
    inputGradients: readonly (DeviceTensor | undefined)[],
  ): void;
}

/** Sees a value while it is alive. The tensor is valid during the call only. */
export type Tap = (name: string, value: DeviceTensor) => void;

export interface RunOptions {
  /** Values to show to `tap`: float32 values only; order of execution. */
  readonly taps?: ReadonlySet<string> | undefined;
  readonly tap?: Tap | undefined;
  /** Values to return besides the graph's outputs. */
  readonly also?: readonly string[] | undefined;
}

/** Runs a graph in float32. Made by `createEngine(graph)`; synchronous once made. */
export interface Engine {
  readonly graph: Graph;
  /** @throws HalftoneError INPUT_MISSING, INPUT_MISMATCH, SHAPE_MISMATCH, OUT_OF_MEMORY */
  run(feeds: ReadonlyMap<string, Tensor>, options?: RunOptions): Map<string, Tensor>;
  /** Copy of a tapped value, row-major. */
  read(value: DeviceTensor): Tensor;
  /** Linear memory in use at most so far, in bytes. */
  readonly peakBytes: number;
  /** float.wasm and its memory, for observers that work where the values are. Views end with the next allocation. */
  readonly kernels: FloatKernels;
  readonly memory: WebAssembly.Memory;
  /** Linear memory of the caller's own, 16-byte aligned, until released. @throws HalftoneError OUT_OF_MEMORY */
  allocate(bytes: number): number;
  /** Gives the memory of a graph back; it cannot be run any more. */
  release(ptr: number): void;
}

/** What sees values in a forward pass, or whole gradients in a backward pass, and may change them in place. */
export interface PassOptions {
  readonly taps?: ReadonlySet<string> | undefined;
  readonly tap?: Tap | undefined;
}

export interface DifferentiableOptions {
  /** A compiled float.wasm; by default it is read from where the package lies. */
  readonly module?: WebAssembly.Module | undefined;
  /** Values to feed, and to return: the part of the graph between them. By default the graph's own. */
  readonly inputs?: readonly string[] | undefined;
  readonly outputs?: readonly string[] | undefined;
  /** Values whose gradients are wanted: constants, inputs or activations. */
  readonly parameters: Iterable<string>;
  /** Further constants that the caller overwrites between steps. */
  readonly variables?: Iterable<string> | undefined;
  /** `segments` keeps about √n of the values of n steps and makes the others again on the way back. */
  readonly recompute?: "none" | "segments" | undefined;
  /** Tables of operators instead of the house's own, so that a method may bring rows (quantizers) along. */
  readonly operators?: ReadonlyMap<string, Operator> | undefined;
  readonly forward?: ReadonlyMap<string, ForwardKernel<FloatKernels>> | undefined;
  readonly gradients?: ReadonlyMap<string, GradientKernel<FloatKernels>> | undefined;
}

/** A graph, or a part of one, with reverse mode. Made by `createDifferentiable(graph, options)`; synchronous once made. */
export interface Differentiable {
  /** The part that runs. */
  readonly graph: Graph;
  /**
   * Values of the outputs, in linear memory until the next pass forward. Feeds on the device are read where they are, in either
   * layout, and must stay unchanged until after `backward`.
   *
   * @param options.tap sees each value named in `taps` once it is made (float32 only) and may change it in place: all that follows,
   *   gradients included, then works with what it left
   * @throws HalftoneError INPUT_MISSING, INPUT_MISMATCH, SHAPE_MISMATCH, OUT_OF_MEMORY
   */
  forward(feeds: ReadonlyMap<string, Tensor | DeviceTensor>, options?: PassOptions): Map<string, DeviceTensor>;
  /**
   * Gradients of Σ outputGradient · output, once after each pass forward.
   *
   * @param outputGradients by output, in its sizes; an output that is left out counts as 0
   * @param sums by parameter: memory of its sizes, in either layout, to which its gradient is added. A parameter that is left out is
   *   seen by taps alone; one that the outputs do not depend on is left as it is
   * @param options.tap sees each gradient named in `taps` when it is whole, and may change it in place before it is passed on
   * @throws HalftoneError ONNX_UNSUPPORTED_OP for sizes or attributes that have no gradient, OUT_OF_MEMORY
   */
  backward(
    outputGradients: ReadonlyMap<string, Tensor | DeviceTensor>,
    sums: ReadonlyMap<string, DeviceTensor>,
    options?: PassOptions,
  ): void;
  /** The row-major memory of a constant among `parameters` or `variables`; what it holds when `forward` starts is what counts. */
  variable(name: string): DeviceTensor;
  /** Copy of a value in linear memory, row-major. */
  read(value: DeviceTensor): Tensor;
  /** Linear memory in use at most so far, in bytes. */
  readonly peakBytes: number;
  /** float.wasm and its memory, for methods that work where the values are. Views end with the next allocation. */
  readonly kernels: FloatKernels;
  readonly memory: WebAssembly.Memory;
  /** Linear memory of the caller's own, 16-byte aligned, until released. @throws HalftoneError OUT_OF_MEMORY */
  allocate(bytes: number): number;
  release(ptr: number): void;
}
