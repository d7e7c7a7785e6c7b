// Weights in linear memory: int8 panels, or codes of 1, 2 or 4 bits that are decoded into a panel of scratch each time it is used. That
// is free where a panel meets 16 rows and more, and an eighth to a half of the memory.
import type { CodedWeights } from "../../plan/weights.ts";
import { type Address, plus } from "../program.ts";
import type { Layer } from "./conv.ts";
import { roundUp, slices } from "./image.ts";

/** Bytes in the order of a layer's weights, and what stands where there is no weight. */
export interface Source {
  readonly bytes: Int8Array | Uint8Array;
  readonly none: number;
}

/** Panels of weights [first, first + count) as the kernels read them. */
export interface PanelRun {
  readonly weights: Address;
  readonly first: number;
  readonly count: number;
}

export interface PanelStore {
  /** Panels [p0, p1) as few runs as can be; decoding, where there is any, happens when `act` is carried out. */
  runs(p0: number, p1: number, act: "call" | "setup"): Iterable<PanelRun>;
}

const widths = [1, 2, 4] as const;

/** Decoded panels stay in the first-level cache. */
const decodedBytes = 16384;

interface Codes {
  readonly bits: number;
  /** int8[16] */
  readonly levels: Int8Array;
  readonly source: Source;
}

/**
 * Codes of the fewest bits that hold all levels, and 0 where panels have lanes without weights whose inputs are not 0 either; undefined
 * where 16 levels are not enough.
 */
function narrowest({ levels, indices }: CodedWeights, holes: boolean): Codes | undefined {
  const all = !holes || levels.includes(0) ? [...levels] : [...levels, 0];
  const bits = widths.find((width) => all.length <= 1 << width);
  if (bits === undefined) return undefined;
  const table = new Int8Array(16);
  table.set(all);
  return { bits, levels: table, source: { bytes: indices, none: holes ? all.indexOf(0) : 0 } };
}

/**
 * @param panelBytes of one int8 panel, a multiple of 16
 * @param holes      whether panels have places without a weight
 * @param arrange    panels of bytes, one behind the other
 */
export function panelStore(
  layer: Layer,
  panelBytes: number,
  holes: boolean,
  arrange: (source: Source) => Int8Array | Uint8Array,
): PanelStore {
  const { program, kernels, coded } = layer;
  const codes = coded && narrowest(coded, holes);
  if (!codes) {
    const weights = program.constant(arrange({ bytes: layer.weights, none: 0 }));
    return { runs: (p0, p1) => [{ weights: plus(weights, p0 * panelBytes), first: p0, count: p1 - p0 }] };
  }
  const { bits } = codes;
  const codeBytes = roundUp(panelBytes * bits, 128) / 8;
  const packed = program.constant(packVectors(arrange(codes.source), panelBytes, codeBytes, bits));
  const levels = program.constant(codes.levels);
  const bytes = (codeBytes * 8) / bits;
  // Panels that come out of their codes without a gap are decoded several at a time: a call costs as much as a short panel.
  const together = bytes === panelBytes ? Math.max(1, Math.floor(decodedBytes / bytes)) : 1;
  const decoded = program.scratch(together * bytes);
  return {
    *runs(p0, p1, act) {
      for (const [first, end] of slices(p1 - p0, together)) {
        const count = end - first;
        program[act](kernels.decode, plus(packed, (p0 + first) * codeBytes), decoded, count * codeBytes, levels, bits);
        yield { weights: decoded, first: p0 + first, count };
      }
    },
  };
}

/** Panels of bytes → panels of codes: byte j of each 16 holds code j of vector v in bits v · bits … (v + 1) · bits − 1. */
function packVectors(bytes: Int8Array | Uint8Array, panelBytes: number, codeBytes: number, bits: number): Uint8Array {
  const perPanel = bytes.length / panelBytes;
  const packed = new Uint8Array(perPanel * codeBytes);
  const vectors = 8 / bits;
  for (let i = 0; i < bytes.length; i++) {
    const [panel, at] = [Math.floor(i / panelBytes), i % panelBytes];
    const vector = at >> 4;
    packed[panel * codeBytes + Math.floor(vector / vectors) * 16 + (at & 15)]! |= bytes[i]! << ((vector % vectors) * bits);
  }
  return packed;
}
