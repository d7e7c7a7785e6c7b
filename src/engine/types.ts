import type { Graph, GraphNode, Tensor } from "../graph/types.ts";
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
  release(ptr: number): void;
}
