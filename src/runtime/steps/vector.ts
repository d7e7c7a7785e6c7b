// One output pixel of a layer whose weights are codes: what takes the time is reading them, so they are multiplied as they lie in
// memory, 32 output channels at a time. A table of forms; all give the bits of the direct sum.
import type { ConvStep } from "../../plan/types.ts";
import type { CodedWeights } from "../../plan/weights.ts";
import { type Address, plus } from "../program.ts";
import type { Layer } from "./conv.ts";
import { packBias } from "./bias.ts";
import { type Image, pixels, roundUp } from "./image.ts";
import { type Producer, panelGroup } from "./producer.ts";

const groupChannels = 8 * panelGroup;
const panelBytes = 32;

/** What a form multiplies: `a` is int16[k rounded up to 8], zeros behind the last. */
interface Task {
  readonly layer: Layer;
  readonly coded: CodedWeights;
  readonly a: Address;
  readonly k: number;
  readonly bias: Address;
}

/** Calls for panels [p0, p1), p0 a multiple of panelGroup; `begin` once before them. */
interface Products {
  begin?(): void;
  panels(p0: number, p1: number, acc: Address): void;
}

interface Form {
  fits(levels: Int8Array, k: number): boolean;
  prepare(task: Task): Products;
}

/** Nibbles masked where they stand 4 bits up sum to 16 · 15 · 128 · k < 2³¹. */
const mostMasked = 65536;

/** The first form that fits is the fastest. */
const forms: readonly Form[] = [
  { fits: (levels) => levels.length <= 4, prepare: bitPlanes },
  { fits: (levels, k) => k <= mostMasked && evenStep(levels) !== undefined, prepare: evenLevels },
  { fits: () => true, prepare: anyLevels },
];

/** levels[i] = levels[0] + step · i */
function evenStep(levels: Int8Array): number | undefined {
  const step = levels[1]! - levels[0]!;
  return levels.every((level, i) => level === levels[0]! + step * i) ? step : undefined;
}

/** Levels of bits b are l₀ + (l₁ − l₀) b₀ + (l₂ − l₀) b₁ + (l₃ − l₂ − l₁ + l₀) b₀ b₁: planes of bits, by tables of partial sums. */
function bitPlanes({ layer: { program, kernels, count }, coded: { levels, indices }, a, k, bias }: Task): Products {
  const l0 = levels[0]!;
  const l1 = levels[1]!;
  const [l2, l3] = levels.length > 2 ? [levels[2]!, levels[3]!] : [l0, l1];
  const planes = [
    { mask: 1, factor: l1 - l0 },
    { mask: 2, factor: l2 - l0 },
    { mask: 3, factor: l3 - l2 - l1 + l0 },
  ].filter(({ factor }) => factor !== 0);
  const groups = Math.ceil(k / 4);
  const masks = planes.map(({ mask }) => mask);
  const bits = program.constant(packPlanes(indices, count, k, masks));
  const factors = program.constant(Int32Array.from(planes, ({ factor }) => factor));
  const tables = program.scratch(groups * 32);
  return {
    begin: () => program.call(kernels.partialSums, a, tables, groups),
    panels(p0, p1, acc) {
      const place = [Math.ceil(count / groupChannels), p0 / panelGroup, groups, planes.length] as const;
      program.call(kernels.gemvSums, a, tables, bits, ...place, l0, factors, plus(bias, p0 * 32), acc, panelBytes, p1 - p0);
    },
  };
}

function evenLevels({ layer: { program, kernels, count }, coded: { levels, indices }, a, k, bias }: Task): Products {
  const pairs = Math.ceil(k / 2);
  const codes = program.constant(packNibbles(indices, count, k, 8));
  return {
    panels(p0, p1, acc) {
      const from = plus(codes, p0 * pairs * 8);
      program.call(kernels.gemvLinear, a, from, pairs, levels[0]!, evenStep(levels)!, plus(bias, p0 * 32), acc, panelBytes, p1 - p0);
    },
  };
}

function anyLevels({ layer: { program, kernels, count }, coded: { levels, indices }, a, k, bias }: Task): Products {
  const pairs = Math.ceil(k / 2);
  const codes = program.constant(packNibbles(indices, count, k, 0));
  const table = program.constant(Uint8Array.from({ length: 16 }, (_, i) => (levels[i] ?? 0) + 128));
  return {
    panels(p0, p1, acc) {
      program.call(kernels.gemvTable, a, plus(codes, p0 * pairs * 8), pairs, table, plus(bias, p0 * 32), acc, panelBytes, p1 - p0);
    },
  };
}

/** For one output pixel of coded weights; undefined where the step is another. */
export function vectorForm(step: ConvStep, y: Image): ((layer: Layer) => Producer) | undefined {
  return step.codes && step.groups === 1 && pixels(y) === 1 ? vector : undefined;
}

function vector(layer: Layer): Producer {
  const { program, kernels, step, x, inputs } = layer;
  const [kh, kw] = step.window;
  const k = kh * kw * inputs;
  // Runs of channels without their padding lanes: behind them nothing but zeros, whatever the levels.
  const merged = x.pitch === inputs && step.dilation[1] === 1;
  const [run, runs] = merged ? [kw * inputs, 1] : [inputs, kw];
  const codes = program.scratch(k);
  const a = program.scratch(roundUp(k, 8) * 2);
  const coded = layer.coded!;
  const bias = program.constant(packBias(layer));
  const products = forms.find(({ fits }) => fits(coded.levels, k))!.prepare({ layer, coded, a, k, bias });
  return {
    input: x,
    shape: step,
    rows: 1,
    columns: 1,
    sliceRows: 1,
    panelBytes,
    pixelsBefore: (r) => r,
    begin: ({ from, xTap, yTap }) => {
      program.call(kernels.patches, from, codes, 0, 1, 1, 0, 0, kh, runs, run, xTap, yTap);
      program.call(kernels.widen, codes, a, k);
      if (k % 8 !== 0) program.call(kernels.fillCodes, plus(a, k * 2), 0, (roundUp(k, 8) - k) * 2);
      products.begin?.();
    },
    panels: (_frame, _r0, _r1, p0, p1, acc) => products.panels(p0, p1, acc),
  };
}

/** Neighbours of 4 that gemvSums takes before it goes on to other channels. */
const blockQuads = 64;

/**
 * [O][k] → uint8[blocks of k][groups of 32 channels][planes][k / 4 of the block][16], as gemvSums: bytes 2j and 2j + 1 hold 4 neighbours'
 * bits of channels j, j + 8.
 */
function packPlanes(indices: Uint8Array, outputs: number, k: number, masks: readonly number[]): Uint8Array {
  const quads = Math.ceil(k / 4);
  const groups = Math.ceil(outputs / groupChannels);
  const packed = new Uint8Array(groups * masks.length * quads * 16);
  for (let o = 0; o < outputs; o++) {
    const [group, channel] = [Math.floor(o / groupChannels), o % groupChannels];
    for (const [plane, mask] of masks.entries()) {
      for (let i = 0; i < k; i++) {
        if ((indices[o * k + i]! & mask) !== mask) continue;
        const quad = i >> 2;
        const first = quad - (quad % blockQuads);
        const length = Math.min(quads - first, blockQuads);
        const row = groups * masks.length * first + (group * masks.length + plane) * length + (quad - first);
        packed[row * 16 + (channel & 7) * 2 + ((channel >> 3) & 1)]! |= 1 << ((channel >> 4) * 4 + (i & 3));
      }
    }
  }
  return packed;
}

/**
 * [O][k] → uint16[groups of 32 channels][k / 2][2][4][2], as gemvLinear: lane (h, c, e) holds k = 2 · pair + e of channels
 * 16h + c + 0, 4, 8, 12, the last xor `highest`.
 */
function packNibbles(indices: Uint8Array, outputs: number, k: number, highest: number): Uint8Array {
  const pairs = Math.ceil(k / 2);
  const packed = new Uint8Array(Math.ceil(outputs / groupChannels) * pairs * 32);
  for (let o = 0; o < outputs; o++) {
    const [group, channel] = [Math.floor(o / groupChannels), o % groupChannels];
    const place = (channel >> 2) & 3;
    const to = group * pairs * 32 + (channel >> 4) * 16 + (channel & 3) * 4 + (place >> 1);
    for (let i = 0; i < k; i++)
      packed[to + (i >> 1) * 32 + (i & 1) * 2]! |= (place === 3 ? indices[o * k + i]! ^ highest : indices[o * k + i]!) << ((place & 1) * 4);
  }
  return packed;
}
