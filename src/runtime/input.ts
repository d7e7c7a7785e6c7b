// The border on the way in: real numbers, bytes or codes in the model's order become codes in the plan's order and pitch.
import { HalftoneError } from "../errors.ts";
import { logicalElements } from "../plan/layout.ts";
import type { PlanPreprocessing } from "../plan/program.ts";
import type { PlanValue } from "../plan/types.ts";
import { copyRun, rowsOf } from "./rows.ts";
import type { ImageLike, InputData, InputTensor } from "./tensors.ts";

/** n samples of one input, in planes of the model's axes. */
export interface Samples {
  readonly data: InputData;
  readonly count: number;
  /** Whether the caller gave a batch axis. */
  readonly batched: boolean;
}

function mismatch(value: PlanValue, found: string, expected: string, hint?: string): HalftoneError {
  return new HalftoneError("INPUT_MISMATCH", `input '${value.name}'`, found, expected, hint);
}

function shapeOf(value: PlanValue): string {
  return `[${value.dims.join(",")}]`;
}

function isData(input: unknown): input is InputData {
  return input instanceof Float32Array || input instanceof Int8Array || input instanceof Uint8Array || input instanceof Uint8ClampedArray;
}

export function isTensor(input: unknown): input is InputTensor {
  if (isData(input) || Array.isArray(input)) return true;
  if (typeof input !== "object" || input === null || !("data" in input) || !isData(input.data)) return false;
  return ("dims" in input && Array.isArray(input.dims)) || ("width" in input && typeof input.width === "number");
}

/** Luma of ITU-R BT.601 in integers: a grey pixel keeps its value. */
function luma(red: number, green: number, blue: number): number {
  return Math.floor((299 * red + 587 * green + 114 * blue + 500) / 1000);
}

/** RGBA rows to planes of one channel (luma) or three. */
function planesOf(image: ImageLike, value: PlanValue, to: Uint8Array): void {
  const [channels, height, width] = value.dims as [number, number, number];
  if (value.dims.length !== 3 || (channels !== 1 && channels !== 3)) throw mismatch(value, "an image", `an array of ${shapeOf(value)}`);
  const { data } = image;
  if (image.height !== height || image.width !== width || data.length !== 4 * height * width)
    throw mismatch(value, `an image of ${image.height}×${image.width} pixels`, `${height}×${width}`, "Resize and crop it first.");
  const pixels = height * width;
  for (let i = 0; i < pixels; i++) {
    const [red, green, blue] = [data[4 * i]!, data[4 * i + 1]!, data[4 * i + 2]!];
    if (channels === 1) to[i] = luma(red, green, blue);
    else [to[i], to[pixels + i], to[2 * pixels + i]] = [red, green, blue];
  }
}

/** Counts samples and checks every length. */
export function samplesOf(input: InputTensor, value: PlanValue): Samples {
  const size = logicalElements(value);
  if (Array.isArray(input) || "width" in input) {
    const images = (Array.isArray(input) ? input : [input]) as readonly ImageLike[];
    if (images.length === 0) throw mismatch(value, "no images", "at least one");
    const data = new Uint8Array(images.length * size);
    for (const [i, image] of images.entries()) planesOf(image, value, data.subarray(i * size, (i + 1) * size));
    return { data, count: images.length, batched: Array.isArray(input) };
  }
  if (!isData(input)) {
    const { dims, data } = input as { readonly dims: readonly number[]; readonly data: InputData };
    const batched = dims.length === value.dims.length + 1;
    const own = batched ? dims.slice(1) : dims;
    const count = batched ? dims[0]! : 1;
    if (own.length !== value.dims.length || own.some((extent, axis) => extent !== value.dims[axis]) || !(count >= 1))
      throw mismatch(value, `dims [${dims.join(",")}]`, `${shapeOf(value)}, or one more axis for the batch before it`);
    if (data.length !== count * size)
      throw mismatch(value, `${data.length} elements`, `${count * size}, the product of [${dims.join(",")}]`);
    return { data, count, batched };
  }
  const count = input.length / size;
  if (!Number.isInteger(count) || count < 1)
    throw mismatch(value, `${input.length} elements`, `the ${size} of ${shapeOf(value)}, or a multiple of them for a batch`);
  return { data: input, count, batched: count > 1 };
}

/** 1.5 · 2⁵²: adding and subtracting it rounds half to even whatever is below 2⁵¹. */
const magic = 6755399441055744;

/** code = clamp(rne(fround(x / scale)) + zeroPoint). Comparisons, before rounding to integers: Math.min and Math.max are slower. */
export function quantize(x: number, scale: number, zeroPoint: number): number {
  const y = Math.fround(x / scale);
  if (y < -128 - zeroPoint) return -128;
  if (y > 127 - zeroPoint) return 127;
  return y + magic - magic + zeroPoint;
}

/** Where the numbers of a channel of the first axis of images came from, or of all elements: x = (v · scale − mean) / std, in float32. */
interface Origin {
  readonly scale: number;
  readonly mean: number;
  readonly std: number;
}

/** One per channel; each run of `rows` lies within one. */
interface Origins {
  readonly channels: readonly Origin[];
  readonly rows: ReturnType<typeof rowsOf>;
}

function originsOf(value: PlanValue, preprocessing: PlanPreprocessing | undefined): Origins {
  if (preprocessing === undefined)
    throw mismatch(value, "bytes", "float32 numbers or int8 codes", "The plan has no preprocessing that says what bytes mean.");
  const { scale, mean, std } = preprocessing;
  const channels = value.dims.length === 3 ? value.dims[0]! : 1;
  for (const [name, list] of [
    ["mean", mean],
    ["std", std],
  ] as const) {
    if (list.length !== 1 && list.length !== channels)
      throw mismatch(value, `a preprocessing ${name} of ${list.length} channels`, `1 or ${channels}`);
  }
  const of = (list: readonly number[], c: number): number => Math.fround(list[list.length === 1 ? 0 : c]!);
  const origins = Array.from({ length: channels }, (_, c): Origin => ({ scale, mean: of(mean, c), std: of(std, c) }));
  return { channels: origins, rows: rowsOf(value, channels > 1 ? 1 : 0) };
}

/** Codes of the 256 bytes. */
function byteTable({ scale, mean, std }: Origin, value: PlanValue): Int8Array {
  return Int8Array.from({ length: 256 }, (_, v) =>
    quantize(Math.fround(Math.fround(Math.fround(v * scale) - mean) / std), value.scale[0]!, value.zeroPoint),
  );
}

/** Codes of numbers, `stride` apart. Returns NaN where one of them was not finite, else 0. */
function quantizeRun(sample: Float32Array, memory: Int8Array, first: number, stride: number, scale: number, zeroPoint: number): number {
  let sum = 0;
  for (let i = 0, to = first; i < sample.length; i++, to += stride) {
    const x = sample[i]!;
    sum += x - x;
    memory[to] = quantize(x, scale, zeroPoint);
  }
  return sum;
}

function lookUpRun(sample: Uint8Array | Uint8ClampedArray, memory: Int8Array, first: number, stride: number, table: Int8Array): void {
  for (let i = 0; i < sample.length; i++) memory[first + i * stride] = table[sample[i]!]!;
}

/** Codes of the stored numbers that real ones came from: clamp(rne((x · std + mean) / scale) + zeroPoint). Returns as quantizeRun. */
function restoreRun(
  sample: Float32Array,
  memory: Int8Array,
  first: number,
  stride: number,
  { scale, mean, std }: Origin,
  zeroPoint: number,
): number {
  let sum = 0;
  for (let i = 0; i < sample.length; i++) {
    const x = sample[i]!;
    sum += x - x;
    const v = (x * std + mean) / scale + magic - magic + zeroPoint;
    memory[first + i * stride] = Math.min(Math.max(v, -128), 127);
  }
  return sum;
}

/** Codes of stored bytes: v + zeroPoint, saturated. */
function shiftRun(sample: Uint8Array | Uint8ClampedArray, memory: Int8Array, first: number, stride: number, zeroPoint: number): void {
  for (let i = 0; i < sample.length; i++) memory[first + i * stride] = Math.min(sample[i]! + zeroPoint, 127);
}

/** One input of the plan: writes samples at the value's place in linear memory. */
export class InputPort {
  readonly value: PlanValue;
  private readonly preprocessing: PlanPreprocessing | undefined;
  /** Codes are stored numbers. */
  private readonly pixels: boolean;
  private readonly rows: ReturnType<typeof rowsOf>;
  private origins: Origins | undefined;
  private tables: readonly Int8Array[] | undefined;

  constructor(value: PlanValue, preprocessing: PlanPreprocessing | undefined, pixels = false) {
    this.value = value;
    this.preprocessing = preprocessing;
    this.pixels = pixels;
    this.rows = rowsOf(value);
  }

  /** @param memory int8 from the value's first element on */
  write(samples: Samples, index: number, memory: Int8Array): void {
    const size = logicalElements(this.value);
    const sample = samples.data.subarray(index * size, (index + 1) * size);
    if (sample instanceof Float32Array) this.writeNumbers(sample, memory);
    else if (sample instanceof Int8Array) this.writeCodes(sample, memory);
    else this.writeBytes(sample, memory);
  }

  private writeNumbers(sample: Float32Array, memory: Int8Array): void {
    const { name, zeroPoint } = this.value;
    const scale = this.value.scale[0]!;
    const finite = (sum: number): void => {
      if (sum === 0) return;
      const at = sample.findIndex((x) => x - x !== 0);
      throw new HalftoneError("NOT_FINITE", `input '${name}' element ${at}`, `${sample[at]}`, "a finite number");
    };
    if (this.pixels)
      this.eachChannel(sample, (run, physical, stride, origin) => finite(restoreRun(run, memory, physical, stride, origin, zeroPoint)));
    else {
      const { length, stride, each } = this.rows;
      each((logical, physical) =>
        finite(quantizeRun(sample.subarray(logical, logical + length), memory, physical, stride, scale, zeroPoint)),
      );
    }
  }

  private writeCodes(sample: Int8Array, memory: Int8Array): void {
    const { length, stride, each } = this.rows;
    each((logical, physical) => copyRun(sample, logical, 1, memory, physical, stride, length));
  }

  private writeBytes(sample: Uint8Array | Uint8ClampedArray, memory: Int8Array): void {
    if (this.pixels) {
      const { length, stride, each } = this.rows;
      const { zeroPoint } = this.value;
      each((logical, physical) => shiftRun(sample.subarray(logical, logical + length), memory, physical, stride, zeroPoint));
      return;
    }
    this.eachChannel(sample, (run, physical, stride, _origin, channel) => {
      this.tables ??= this.origins!.channels.map((origin) => byteTable(origin, this.value));
      lookUpRun(run, memory, physical, stride, this.tables[channel]!);
    });
  }

  /** Runs of a sample that lie in one channel each. */
  private eachChannel<T extends Float32Array | Uint8Array | Uint8ClampedArray>(
    sample: T,
    visit: (run: T, physical: number, stride: number, origin: Origin, channel: number) => void,
  ): void {
    this.origins ??= originsOf(this.value, this.preprocessing);
    const { channels, rows } = this.origins;
    const plane = sample.length / channels.length;
    rows.each((logical, physical) => {
      const channel = Math.floor(logical / plane);
      visit(sample.subarray(logical, logical + rows.length) as T, physical, rows.stride, channels[channel]!, channel);
    });
  }
}
