// The graph that every room shares: immutable, in the model's own names and in ONNX's logical axes.

/** Element types. Floats below 32 bits are held as Float32Array of exactly representable values, 2- and 4-bit integers one per byte. */
export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "float8e4m3fn"
  | "float8e4m3fnuz"
  | "float8e5m2"
  | "float8e5m2fnuz"
  | "float8e8m0"
  | "float4e2m1"
  | "int2"
  | "uint2"
  | "int4"
  | "uint4"
  | "int8"
  | "uint8"
  | "int16"
  | "uint16"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "bool"
  | "string";

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** A concrete array, row-major. `data.length` is the product of `dims`; bool is one byte of 0 or 1. */
export interface Tensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

/** A size known before a run (number), or a monomial in the model's symbols: "N", "49*N". See dims.ts. */
export type Dim = number | string;

/**
 * What is known of a value before anything runs.
 * `dims` is absent when even the rank depends on run-time data. `elements` holds what is known of the contents of a small
 * integer tensor (row-major), so that shape arithmetic on a symbolic batch folds; an unknown element is undefined.
 */
export interface Fact {
  readonly dtype: DType;
  readonly dims: readonly Dim[] | undefined;
  readonly elements?: readonly (Dim | undefined)[] | undefined;
  /** The whole tensor, when it is a constant. */
  readonly constant?: Tensor | undefined;
}

export type Attribute = number | string | Tensor | readonly number[] | readonly string[];

/** One operation. An absent optional input or output is "". Names are those of the model; a nameless node gets `Op_index`. */
export interface GraphNode {
  readonly name: string;
  /** ONNX operator in the semantics of the newest opset we know (older forms are upgraded by onnx/). */
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** Nodes stand in topological order; every value has one producer: an input, a constant or a node. */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly GraphNode[];
  readonly constants: ReadonlyMap<string, Tensor>;
  /** Facts of every value, constants and graph inputs included. */
  readonly facts: ReadonlyMap<string, Fact>;
  /** What rewrites keep for later methods, e.g. the BatchNorm statistics folded into a convolution, by node name. */
  readonly notes: ReadonlyMap<string, Readonly<Record<string, Tensor>>>;
}

/** A named rewrite. Legal on every graph (does nothing where it does not apply), and float-equal to its input. */
export interface Rewrite {
  readonly name: string;
  apply(graph: Graph): Graph;
}
