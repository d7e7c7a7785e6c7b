// The model and the samples on the table: opened, described and checked against each other.
import {
  type Dataset,
  decodeSample,
  defaultPreprocessing,
  type Executor,
  evaluate,
  type Graph,
  HalftoneError,
  memoryFiles,
  openDataset,
  type Preprocessing,
  prepare,
  readModel,
  readPreprocessorConfig,
} from "halftone";
import type { Bench, Check, DataCard, Dropped, ModelCard, Role } from "../protocol.ts";
import { example } from "./example.ts";
import { asStored, pictureOf } from "./pictures.ts";
import { filesBelow, nameOf, sortFiles } from "./sources.ts";

export interface Source {
  /** As `openDataset` takes it. */
  readonly path: string;
  readonly files: Dropped;
  readonly dataset: Dataset;
}

/** Everything that a run is made of. */
export interface Table {
  readonly name: string;
  readonly model: Uint8Array<ArrayBuffer>;
  readonly graph: Graph;
  readonly calibration: Source;
  readonly test: Source | undefined;
  readonly preprocessing: Preprocessing;
  readonly labels: readonly string[] | undefined;
}

const shownPictures = 8;

export async function openSource(files: Dropped, path: string): Promise<Source> {
  const own = filesBelow(files, path);
  return { path, files: own, dataset: await openDataset(path, memoryFiles(own)) };
}

export async function openExample(files: Dropped): Promise<Table> {
  const model = await bytesOf(files.get(example.model)!);
  return {
    name: example.model,
    model,
    graph: prepare(readModel(model)),
    calibration: await openSource(files, example.calibration),
    test: await openSource(files, example.test),
    preprocessing: example.preprocessing,
    labels: linesOf(await files.get(example.labels)!.text()),
  };
}

/**
 * The table with what was dropped on it: a model, samples, class names, a preprocessor_config.json, in any combination.
 *
 * @throws HalftoneError of whatever cannot be read; the table is then as it was
 */
export async function withDropped(table: Table, files: Dropped, role: Role): Promise<Table> {
  const sorted = sortFiles([...files.keys()]);
  if (sorted.model === undefined && sorted.data === undefined && sorted.labels === undefined && sorted.preprocessing === undefined)
    throw new HalftoneError(
      "DATA_MALFORMED",
      "what you dropped",
      [...files.keys()].slice(0, 3).map(nameOf).join(", ") || "nothing",
      "a model (.onnx), images (.jpg, .png), IDX, .npy, .npz or CIFAR .bin files",
    );
  let next = table;
  if (sorted.model !== undefined) {
    const model = await bytesOf(files.get(sorted.model)!);
    next = { ...next, name: nameOf(sorted.model), model, graph: prepare(readModel(model)), labels: undefined };
  }
  if (sorted.data !== undefined) {
    const source = await openSource(files, sorted.data);
    const labels = source.dataset.classes ?? next.labels;
    // Samples of another kind leave no test set of the old one behind.
    next = role === "test" ? { ...next, test: source } : { ...next, calibration: source, test: undefined, labels };
    if (role === "calibration") next = { ...next, preprocessing: await suggested(next) };
  }
  if (sorted.labels !== undefined) next = { ...next, labels: linesOf(await files.get(sorted.labels)!.text()) };
  if (sorted.preprocessing !== undefined) {
    const { preprocessing } = readPreprocessorConfig(await files.get(sorted.preprocessing)!.text(), sorted.preprocessing);
    next = { ...next, preprocessing };
  }
  return next;
}

/** As the data's format has it, and the pictures brought to the model's size where it insists on one. */
async function suggested({ graph, calibration, preprocessing: { mean, std } }: Table): Promise<Preprocessing> {
  const [raw] = await calibration.dataset.read(0, 1);
  const base = defaultPreprocessing(raw!.format);
  const [channels, height, width] = inputOf(graph);
  const statistics = mean.length === 1 || mean.length === channels ? { mean, std } : {};
  if (raw!.format.kind === "array") return base;
  if (typeof height !== "number" || typeof width !== "number") return { ...base, ...statistics };
  const { dims } = await decodeSample(raw!, asStored);
  const fits = dims[1] === height && dims[2] === width && raw!.format.kind === "planes";
  return fits ? { ...base, ...statistics } : fitted({ ...base, ...statistics }, graph);
}

/** Pictures of any size brought to the model's: short side, then the middle. */
export function fitted(preprocessing: Preprocessing, graph: Graph): Preprocessing {
  const [, height, width] = inputOf(graph);
  if (preprocessing.resize || preprocessing.crop || typeof height !== "number" || typeof width !== "number") return preprocessing;
  return { ...preprocessing, resize: Math.max(height, width), crop: [height, width] };
}

export const inputOf = (graph: Graph): readonly (number | string)[] => graph.facts.get(graph.inputs[0] ?? "")?.dims?.slice(1) ?? [];

export const channelsOf = (graph: Graph): number | undefined => {
  const [channels] = inputOf(graph);
  return channels === 1 || channels === 3 ? channels : undefined;
};

export async function describe(table: Table, executor: Executor): Promise<Bench> {
  return {
    model: modelCard(table),
    calibration: await dataCard(table.calibration),
    test: table.test && (await dataCard(table.test)),
    preprocessing: table.preprocessing,
    labels: table.labels,
    check: await check(table, executor),
  };
}

/** A slice a worker through the float network. */
export async function check(table: Table, executor: Executor): Promise<Bench["check"]> {
  const { dataset } = table.test ?? table.calibration;
  const limit = Math.min(dataset.length, 16 * Math.max(2, executor.workers));
  const against = dataset.labelled ? undefined : table.model;
  try {
    const { samples, top1 } = await evaluate(table.model, dataset, { limit, against, preprocessing: table.preprocessing, executor });
    return { samples, top1 } satisfies Check;
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

function modelCard({ name, model, graph }: Table): ModelCard {
  const parameters = [...graph.constants.values()].reduce((sum, { dtype, data }) => sum + (dtype === "float32" ? data.length : 0), 0);
  return { name, bytes: model.length, operators: graph.nodes.length, parameters, input: inputOf(graph) };
}

async function dataCard({ path, dataset }: Source): Promise<DataCard> {
  const raws = await dataset.read(0, Math.min(shownPictures, dataset.length));
  const pictures = await Promise.all(raws.map(pictureOf));
  const name = nameOf(path.split(",")[0]!) || "your images";
  return {
    name,
    length: dataset.length,
    labelled: dataset.labelled,
    pictures: pictures.filter((picture) => picture !== undefined),
  };
}

export const bytesOf = async (blob: Blob): Promise<Uint8Array<ArrayBuffer>> => new Uint8Array(await blob.arrayBuffer());

const linesOf = (text: string): string[] =>
  text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
