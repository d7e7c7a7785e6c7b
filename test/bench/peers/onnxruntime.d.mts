import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import type { Graph } from "../../../src/graph/types.ts";
import type { ModelProto } from "../../../src/onnx/onnx_pb.ts";
import type { Plan } from "../../../src/plan/types.ts";

export interface RuntimeTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array | Uint8Array;
}
export interface RuntimeSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
}
/** The exports of onnxruntime-node; opaque here. */
export type Runtime = object;

export function loadRuntime(): Runtime | undefined;
export function openOptimized(
  runtime: Runtime,
  bytes: Uint8Array,
  schema: GenMessage<ModelProto>,
): Promise<{ readonly session: RuntimeSession; readonly counts: Readonly<Record<string, number>> }>;
export function runOn(
  runtime: Runtime,
  session: RuntimeSession,
  feeds: Readonly<Record<string, { readonly dims: readonly number[]; readonly data: Float32Array }>>,
): Promise<Readonly<Record<string, RuntimeTensor>>>;
export function withCodes(graph: Graph): Graph;
export function layersOf(plan: Plan, isKnown: (name: string) => boolean): Plan[];
export function signed(codes: ArrayLike<number>): Int8Array;
export class Agreement {
  total: number;
  equal: number;
  most: number;
  add(ours: ArrayLike<number>, theirs: ArrayLike<number>): void;
}
