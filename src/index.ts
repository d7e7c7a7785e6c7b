// 'halftone': from a float ONNX model to an integer program, measured on both sides.
export { createEngine, type Engine } from "./engine/index.ts";
export {
  type Dataset,
  type DatasetOptions,
  decodeSample,
  defaultPreprocessing,
  type Files,
  memoryFiles,
  openDataset,
  type Preprocessing,
  type PreprocessorConfig,
  type RawSample,
  readPreprocessorConfig,
  type Sample,
} from "./data/index.ts";
export type { PartStore } from "./checkpoints.ts";
export { type ConvertOptions, convert } from "./convert.ts";
export { type ErrorCode, type ErrorData, HalftoneError } from "./errors.ts";
export { type Accuracy, type EvaluateOptions, type Evaluation, evaluate } from "./evaluate.ts";
export { prepare } from "./graph/prepare.ts";
export type { Graph, GraphNode, Tensor } from "./graph/types.ts";
export { lower } from "./lower/lower.ts";
export { hardenedGraph } from "./onnx/hardened.ts";
export { toQdq } from "./onnx/qdq.ts";
export { type ReadOptions, readModel } from "./onnx/read.ts";
export { writeModel } from "./onnx/write.ts";
export { readPlan } from "./plan/reader.ts";
export type { Plan } from "./plan/types.ts";
export { writePlan } from "./plan/writer.ts";
export { type QuantizeInput, type QuantizeWork, quantize } from "./quantize.ts";
export { defaultOptions, type LearningOptions, type QuantizeOptions } from "./quantized/options.ts";
export type { Quantized } from "./quantized/types.ts";
export { chooseMethod } from "./reconstruct/choose.ts";
export type { Method } from "./reconstruct/methods.ts";
export { type PresetName, presets } from "./reconstruct/presets.ts";
export {
  type Checkpoint,
  type CheckpointStore,
  type PartReport,
  type Reconstruction,
  type ReconstructOptions,
  reconstruct,
  type SampleSource,
} from "./reconstruct/reconstruct.ts";
export { withGolden } from "./runtime/record.ts";
export {
  type GramReconstruction,
  type GramReconstructionOptions,
  type LayerReport,
  reconstructGram,
} from "./gram.ts";
export { createSession, type Session, type SessionOptions } from "./runtime/index.ts";
export { createExecutor, defaultWorkers, type ExecutorOptions } from "./tasks/executors/index.ts";
export type { Executor, Progress, WorkOptions } from "./tasks/types.ts";
