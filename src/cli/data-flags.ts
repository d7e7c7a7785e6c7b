// Flags that say what the samples are: the same for every command that reads data.
import { type Dataset, defaultPreprocessing, openDataset, type Preprocessing, readPreprocessorConfig } from "../data/index.ts";
import { HalftoneError } from "../errors.ts";
import { nodeFiles, readText } from "./files.ts";

export interface PreprocessFlags {
  readonly preprocess?: string | undefined;
  readonly resize?: number | undefined;
  readonly crop?: string | undefined;
  readonly scale?: number | undefined;
  readonly mean?: string | undefined;
  readonly std?: string | undefined;
}

/** A number, or a quotient such as 1/255. */
export function parseNumber(text: string): number {
  const [top, bottom] = text.split("/").map(Number);
  const value = bottom === undefined ? top! : top! / bottom;
  if (!Number.isFinite(value)) throw new Error(`found '${text}', expected a number`);
  return value;
}

export function parseCount(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new Error(`found '${text}', expected a whole number, 0 or more`);
  return value;
}

export interface OptionalFlag<T> {
  readonly kind: "parsed";
  readonly parse: (text: string) => T;
  readonly optional: true;
  readonly placeholder: string;
  readonly brief: string;
}

export const optional = <T>(parse: (text: string) => T, placeholder: string, brief: string): OptionalFlag<T> => ({
  kind: "parsed",
  parse,
  optional: true,
  placeholder,
  brief,
});

export const preprocessFlags: {
  readonly [flag in keyof Required<PreprocessFlags>]: OptionalFlag<NonNullable<PreprocessFlags[flag]>>;
} = {
  preprocess: optional(String, "FILE", "A Hugging Face preprocessor_config.json"),
  resize: optional(parseCount, "PIXELS", "Resize the short side"),
  crop: optional(String, "H[,W]", "Centre crop, in pixels"),
  scale: optional(parseNumber, "S", "x = (v·scale − mean)/std; 1/255 for bytes, 1 for npy by default"),
  mean: optional(String, "M[,M…]", "One number, or one for each channel"),
  std: optional(String, "S[,S…]", "One number, or one for each channel"),
};

export function parseInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value)) throw new Error(`found '${text}', expected a whole number`);
  return value;
}

export const labelOffsetFlag: Omit<OptionalFlag<number>, "optional"> & { readonly default: string } = {
  kind: "parsed",
  parse: parseInteger,
  default: "0",
  placeholder: "K",
  brief: "Added to every label; −1 for labels that start at 1",
};

export const workersFlag: OptionalFlag<number> = optional(
  parseCount,
  "N",
  "Worker threads; 0 works in the main thread. Results are the same for any number",
);

export const dataPaths = "a folder of images, a CIFAR-10 .bin, IMAGES,LABELS in IDX, X.npy[,Y.npy] or an .npz";

export const openData = (path: string, labelOffset = 0): Promise<Dataset> => openDataset(path, nodeFiles, { labelOffset });

/** Whether any flag says how samples are prepared. */
export const hasPreprocessing = (flags: PreprocessFlags): boolean =>
  [flags.preprocess, flags.resize, flags.crop, flags.scale, flags.mean, flags.std].some((flag) => flag !== undefined);

/** Flags over the file's settings over the defaults of the data's format. */
export async function readPreprocessing(flags: PreprocessFlags, dataset: Dataset): Promise<Preprocessing> {
  const [first] = await dataset.read(0, 1);
  return chosenPreprocessing(flags, defaultPreprocessing(first!.format));
}

/** Flags over the file's settings over defaults. */
export async function chosenPreprocessing(flags: PreprocessFlags, defaults: Preprocessing): Promise<Preprocessing> {
  const file = flags.preprocess ? readPreprocessorConfig(await readText(flags.preprocess), flags.preprocess) : undefined;
  for (const note of file?.notes ?? []) process.stderr.write(`${flags.preprocess}: ${note}\n`);
  const base = file?.preprocessing ?? defaults;
  const crop = flags.crop === undefined ? undefined : numbers("--crop", flags.crop);
  return {
    resize: flags.resize ?? base.resize,
    crop: crop ? [crop[0]!, crop[1] ?? crop[0]!] : base.crop,
    scale: flags.scale ?? base.scale,
    mean: flags.mean === undefined ? base.mean : numbers("--mean", flags.mean),
    std: flags.std === undefined ? base.std : numbers("--std", flags.std),
  };
}

function numbers(flag: string, text: string): number[] {
  return text.split(",").map((part) => {
    try {
      return parseNumber(part);
    } catch {
      throw new HalftoneError("OPTION_INVALID", flag, `'${part}'`, "numbers with commas between them");
    }
  });
}
