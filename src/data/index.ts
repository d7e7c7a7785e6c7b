export { fitSample, imageChannels, type ModelInput, modelInput, stackSamples } from "./batch.ts";
export { type ByteSource, type FileEntry, type Files, type FileStat, fileSource, memoryFiles, memorySource } from "./files.ts";
export type { Image } from "./image.ts";
export { encodeNpy, readElement, readNpyHeader } from "./npy.ts";
export { type DatasetOptions, openDataset } from "./open.ts";
export { checkPreprocessing, decodeImage, decodeSample, defaultPreprocessing } from "./preprocess.ts";
export { type PreprocessorConfig, readPreprocessorConfig } from "./preprocessor-config.ts";
export type { Dataset, Preprocessing, RawSample, Sample, SampleFormat } from "./types.ts";
