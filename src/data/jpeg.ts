import openDecoder, { type MozJPEGModule } from "@jsquash/jpeg/codec/dec/mozjpeg_dec.js";
import { HalftoneError } from "../errors.ts";
import { checkPixels, type Image, toPlanes } from "./image.ts";

/** Instantiated anew after every failure, since an instance that called exit() may have lost its senses. */
let decoder: Promise<MozJPEGModule> | undefined;
let compiled: Promise<WebAssembly.Module | undefined> | undefined;
let warnings: string[] = [];

/** The decoder returns its pixels as an ImageData, which only browsers have. */
class Pixels {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  constructor(data: Uint8ClampedArray, width: number, height: number) {
    this.data = data;
    this.width = width;
    this.height = height;
  }
}

/** Where there is a file system, the module is read from the package; elsewhere the codec's own script fetches its neighbour. */
async function compileFromDisk(): Promise<WebAssembly.Module | undefined> {
  const fs = globalThis.process?.getBuiltinModule?.("node:fs/promises");
  const modules = globalThis.process?.getBuiltinModule?.("node:module");
  if (!fs || !modules) return undefined;
  const path = modules.createRequire(import.meta.url).resolve("@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm");
  return WebAssembly.compile(await fs.readFile(path));
}

async function open(): Promise<MozJPEGModule> {
  (globalThis as { ImageData?: unknown }).ImageData ??= Pixels;
  const module = await (compiled ??= compileFromDisk());
  const found = module && {
    instantiateWasm: (imports: WebAssembly.Imports, receive: (instance: WebAssembly.Instance) => void): WebAssembly.Exports => {
      const instance = new WebAssembly.Instance(module, imports);
      receive(instance);
      return instance.exports;
    },
  };
  try {
    return await openDecoder({ noInitialRun: true, print: () => {}, printErr: (text: string) => warnings.push(text), ...found });
  } catch (error) {
    throw new HalftoneError("WASM_UNAVAILABLE", "JPEG decoder", String(error), "mozjpeg_dec.wasm of @jsquash/jpeg beside its script");
  }
}

/** Tolerated, as everybody does: bytes between segments that nothing reads. */
const harmless = /extraneous bytes before marker|Unknown Adobe color transform|Warning: unknown JFIF revision/i;

/**
 * Grey or RGB bytes of a JPEG, with the bits of libjpeg (accurate integer inverse transform, smooth chroma upsampling) on every
 * machine. The orientation tag is not applied. A file that libjpeg would patch up with grey (cut off, damaged) is refused.
 *
 * @throws HalftoneError DATA_MALFORMED
 */
export async function decodeJpeg(bytes: Uint8Array<ArrayBuffer>, place: string): Promise<Image> {
  const malformed = (found: string, expected: string, hint = ""): HalftoneError =>
    new HalftoneError("DATA_MALFORMED", place, found, expected, hint);
  const { width, height, components } = readFrame(bytes, malformed);
  if (components !== 1 && components !== 3)
    throw malformed(`a JPEG of ${components} colour components`, "grey or colour of three", "Convert it from CMYK to RGB.");
  // Every 8×8 block of Huffman-coded data takes one bit at least.
  checkPixels(width, height, bytes.length * 8 * 64, place);

  warnings = [];
  const current = (decoder ??= open());
  let pixels: ImageData | null = null;
  let failure = "";
  try {
    pixels = (await current).decode(bytes, false);
  } catch (error) {
    decoder = undefined;
    if (error instanceof HalftoneError) throw error;
    failure = warnings.at(-1) ?? (error instanceof Error ? error.message : "no reason given");
  }
  const complaint = warnings.find((text) => !harmless.test(text));
  if (!pixels || complaint !== undefined || pixels.width !== width || pixels.height !== height)
    throw malformed(`a JPEG that breaks (${failure || complaint || "no pixels"})`, "a whole one", "The file is damaged or cut off.");
  return toPlanes(pixels.data, width, height, 4, components);
}

interface Frame {
  readonly width: number;
  readonly height: number;
  readonly components: number;
}

/** Size and components from the frame header (SOF), without decoding. */
function readFrame(bytes: Uint8Array, malformed: (found: string, expected: string, hint?: string) => HalftoneError): Frame {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) throw malformed("a file that does not begin as a JPEG", "a JPEG", "Its name may be wrong.");
  for (let at = 2; at + 9 < bytes.length; ) {
    if (bytes[at] !== 0xff) {
      at++;
      continue;
    }
    const marker = bytes[at + 1]!;
    // Fill bytes, stuffed zeros, restarts and TEM stand alone.
    if (marker === 0xff || marker === 0 || marker === 1 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += marker === 0xff ? 1 : 2;
      continue;
    }
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) {
      if (marker > 0xc2)
        throw malformed(`JPEG coding process 0x${marker.toString(16)}`, "baseline, extended or progressive Huffman coding");
      if (bytes[at + 4] !== 8) throw malformed(`JPEG samples of ${bytes[at + 4]} bits`, "8 bits");
      return { height: (bytes[at + 5]! << 8) | bytes[at + 6]!, width: (bytes[at + 7]! << 8) | bytes[at + 8]!, components: bytes[at + 9]! };
    }
    at += 2 + ((bytes[at + 2]! << 8) | bytes[at + 3]!);
  }
  throw malformed("no frame header", "a JPEG with a picture", "The file is damaged or cut off.");
}
