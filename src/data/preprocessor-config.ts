import { HalftoneError } from "../errors.ts";
import { checkPreprocessing } from "./preprocess.ts";
import type { Preprocessing } from "./types.ts";

/** What a preprocessor_config.json of Hugging Face says, as far as it is used here. */
export interface PreprocessorConfig {
  readonly preprocessing: Preprocessing;
  /** What the file asks for and is done otherwise, a sentence each. */
  readonly notes: readonly string[];
}

/** Pillow's codes. */
const bilinear = 2;
const resampleNames: Readonly<Record<number, string>> = { 0: "nearest", 1: "Lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "Hamming" };

/**
 * A Hugging Face `preprocessor_config.json`: resize (`size` as shortest_edge or height and width), centre crop, rescale, normalize.
 *
 * @throws HalftoneError DATA_MALFORMED, OPTION_INVALID
 */
export function readPreprocessorConfig(json: string, place = "preprocessor_config.json"): PreprocessorConfig {
  const malformed = (found: string, expected: string, hint = ""): HalftoneError =>
    new HalftoneError("DATA_MALFORMED", place, found, expected, hint);
  let config: Record<string, unknown>;
  try {
    config = JSON.parse(json);
  } catch (error) {
    throw malformed(`text that is not JSON (${error instanceof Error ? error.message : error})`, "a JSON object");
  }
  if (typeof config !== "object" || config === null || Array.isArray(config)) throw malformed("no object", "a JSON object");

  const flag = (name: string, otherwise: boolean): boolean => {
    const value = config[name] ?? otherwise;
    if (typeof value !== "boolean") throw malformed(`${name} ${JSON.stringify(value)}`, "true or false");
    return value;
  };
  const number = (value: unknown, name: string): number => {
    if (typeof value !== "number") throw malformed(`${name} ${JSON.stringify(value)}`, "a number");
    return value;
  };
  const numbers = (name: string): number[] => {
    const value = config[name];
    if (!Array.isArray(value)) throw malformed(`${name} ${JSON.stringify(value)}`, "a list of numbers, one for each channel");
    return value.map((entry) => number(entry, name));
  };
  const hasSides = (value: unknown): value is { height: unknown; width: unknown } =>
    typeof value === "object" && value !== null && "height" in value && "width" in value;
  const pair = (value: unknown, name: string): [number, number] =>
    hasSides(value)
      ? [number(value.height, `${name}.height`), number(value.width, `${name}.width`)]
      : [number(value, name), number(value, name)];

  if (flag("do_flip_channel_order", false))
    throw malformed("do_flip_channel_order true (BGR)", "RGB input", "Swap the channels of the first convolution.");

  const notes: string[] = [];
  const crops = flag("do_center_crop", "crop_size" in config);
  const crop = crops ? pair(config.crop_size, "crop_size") : undefined;
  let resize: Preprocessing["resize"];
  if (flag("do_resize", "size" in config)) {
    const size = config.size;
    const edge = typeof size === "object" && size !== null && "shortest_edge" in size ? size.shortest_edge : undefined;
    if (edge !== undefined) {
      resize = number(edge, "size.shortest_edge");
      if ("longest_edge" in (size as object)) notes.push("size.longest_edge is not applied.");
    } else if (typeof size === "number") {
      resize = crops ? size : [size, size];
      notes.push(`size ${size} is taken as ${crops ? "the short side" : "height and width"}.`);
    } else if (hasSides(size)) resize = pair(size, "size");
    else throw malformed(`size ${JSON.stringify(size)}`, "shortest_edge, or height and width");
    const resample = config.resample ?? bilinear;
    if (resample !== bilinear)
      notes.push(`resample ${JSON.stringify(resample)} (${resampleNames[resample as number] ?? "unknown"}) is done as bilinear.`);
    if ("crop_pct" in config) notes.push("crop_pct is not applied.");
  }
  for (const name of ["do_pad", "do_thumbnail", "do_align_long_axis", "do_reduce_labels"])
    if (flag(name, false)) notes.push(`${name} is not applied.`);

  const scale = flag("do_rescale", true) ? number(config.rescale_factor ?? 1 / 255, "rescale_factor") : 1;
  const normalizes = flag("do_normalize", "image_mean" in config);
  const preprocessing: Preprocessing = {
    ...(resize === undefined ? {} : { resize }),
    ...(crop === undefined ? {} : { crop }),
    scale,
    mean: normalizes ? numbers("image_mean") : [0],
    std: normalizes ? numbers("image_std") : [1],
  };
  return { preprocessing: checkPreprocessing(preprocessing, place), notes };
}
