// Seeded random programs that keep every promise of plan/types.ts: what the reader must let through and the session must run.
import { packCodes } from "../../src/formats/packing.ts";
import { planArena } from "../../src/lower/arena.ts";
import { imageView, logicalElements, logicalStrides, physicalDims, storedBytes, storedElements } from "../../src/plan/layout.ts";
import { lifetimes, stepInputs } from "../../src/plan/lifetimes.ts";
import {
  arithmeticVersion,
  type Epilogue,
  type Plan,
  type PlanTensor,
  type PlanValue,
  planVersion,
  type Requantization,
  type Step,
} from "../../src/plan/types.ts";

/** xorshift32: small, seeded, the same everywhere. */
export class Dice {
  private state: number;

  constructor(seed: number) {
    this.state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) | 1;
    for (let i = 0; i < 8; i++) this.next();
  }

  next(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return this.state >>> 0;
  }

  /** An integer from lo to hi. */
  between(lo: number, hi: number): number {
    return lo + (this.next() % (hi - lo + 1));
  }

  chance(percent: number): boolean {
    return this.next() % 100 < percent;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.next() % from.length]!;
  }

  codes(n: number, lo = -128, hi = 127): Int8Array {
    return Int8Array.from({ length: n }, () => this.between(lo, hi));
  }
}

type Draft<T> = { -readonly [K in keyof T]: T[K] };

function pitchOf(channels: number): number {
  return channels <= 4 ? channels : Math.ceil(channels / 8) * 8;
}

/** Values and steps in the making; `finish` gives every value its place in the arena. */
export class Builder {
  readonly values: Draft<PlanValue>[] = [];
  readonly steps: Step[] = [];
  readonly tensors: Map<string, PlanTensor> = new Map();
  readonly dice: Dice;

  constructor(dice: Dice) {
    this.dice = dice;
  }

  value(dims: readonly number[], type: PlanValue["type"] = "int8", order?: readonly number[]): number {
    const natural = dims.length === 3 ? [1, 2, 0] : [...dims.keys()];
    const channels = dims[(order ?? natural).at(-1) ?? 0] ?? 1;
    const scales = type === "int32" && this.dice.chance(50) ? channels : 1;
    this.values.push({
      name: `v${this.values.length}`,
      dims,
      order: order ?? natural,
      pitch: this.dice.chance(80) ? pitchOf(channels) : channels + this.dice.between(0, 15),
      type,
      offset: 0,
      scale: Array.from({ length: scales }, () => Math.fround(this.dice.between(1, 1000) / 4096)),
      zeroPoint: type === "int8" ? this.dice.between(-128, 127) : 0,
    });
    return this.values.length - 1;
  }

  tensor(data: PlanTensor): string {
    const name = `t${this.tensors.size}`;
    this.tensors.set(name, data);
    return name;
  }

  clamp(): { zero: number; lo: number; hi: number } {
    const { dice } = this;
    const [a, b] = dice.chance(60) ? [-128, 127] : [dice.between(-128, 127), dice.between(-128, 127)];
    return { zero: dice.between(-128, 127), lo: Math.min(a, b), hi: Math.max(a, b) };
  }

  /** Multipliers that bring accumulators of about `magnitude` to codes. */
  requantization(magnitudes: readonly number[]): Requantization {
    const { dice } = this;
    const multiplier = Int32Array.from(magnitudes, () => (dice.chance(3) ? 0 : 2 ** 30 + dice.between(0, 2 ** 30 - 1)));
    const shift = Int32Array.from(magnitudes, (m) => {
      const fitting = 7 - Math.ceil(Math.log2(Math.max(m, 1)));
      return Math.max(-31, Math.min(30, fitting + dice.between(-2, 3)));
    });
    if (dice.chance(30)) for (let i = 0; i < multiplier.length; i++) if (multiplier[i] !== 0) multiplier[i] = 2 ** 30;
    const tieless = magnitudes.every((m, i) => {
      const q = multiplier[i]!;
      return q === 0 || 30 - shift[i]! < Math.log2(q & -q) || m < 2 ** (30 - shift[i]!) / (q & -q);
    });
    return {
      multiplier: this.tensor(multiplier),
      shift: this.tensor(shift),
      rounding: tieless && dice.chance(70) ? "single" : "even",
      ...this.clamp(),
    };
  }

  finish(inputs: readonly number[], outputs: readonly number[], more: Partial<Plan> = {}): Plan {
    const { values, steps, tensors } = this;
    const draft: Plan = {
      version: planVersion,
      arithmetic: arithmeticVersion,
      values,
      inputs,
      outputs,
      steps,
      arenaBytes: 0,
      tensors,
      ...more,
    };
    const lives = lifetimes(draft);
    const buffers = values.map((value, i) => {
      const life = lives[i] ?? { first: 0, last: 0 };
      return { bytes: storedBytes(value), firstStep: life.first, lastStep: life.last };
    });
    const { offsets, total } = planArena(buffers);
    for (const [i, offset] of offsets.entries()) values[i]!.offset = offset;
    return { ...draft, arenaBytes: total };
  }
}

/** Weights of few bits by a table of any levels, or of even ones. */
function codedWeights(dice: Dice, count: number): { weights: Int8Array; stream: Uint8Array; bits: number; levels: Int8Array } {
  const bits = dice.between(1, 4);
  const levels = dice.chance(50) ? dice.codes(2 ** bits) : Int8Array.from({ length: 2 ** bits }, (_, i) => i - 2 ** (bits - 1));
  const indices = Uint8Array.from({ length: count }, () => dice.between(0, 2 ** bits - 1));
  return { weights: Int8Array.from(indices, (i) => levels[i]!), stream: packCodes(indices, bits), bits, levels };
}

interface Windowed {
  readonly window: [number, number];
  readonly stride: [number, number];
  readonly dilation: [number, number];
  readonly pads: [number, number, number, number];
  readonly out: [number, number];
}

/** A window that fits the extents; `beyond` is how much padding may exceed what the window reaches over (convolutions only). */
function windowOn(dice: Dice, extents: readonly [number, number], beyond = 0): Windowed | undefined {
  const one = (extent: number): [w: number, s: number, d: number, p: number, q: number, out: number] => {
    const [w, s, d] = [dice.between(1, 4), dice.between(1, 3), dice.chance(75) ? 1 : 2];
    const most = (w - 1) * d + beyond;
    const [p, q] = extent >= d ? [dice.between(0, most), dice.between(0, most)] : [0, 0];
    const span = (w - 1) * d + 1;
    return [w, s, d, p, q, Math.floor((extent + p + q - span) / s) + 1];
  };
  const [y, x] = [one(extents[0]), one(extents[1])];
  const starts = ([, s, , p, , out]: typeof y): number => (out - 1) * s - p;
  if (y[5] < 1 || x[5] < 1) return undefined;
  if (beyond === 0 && (starts(y) >= extents[0] || starts(x) >= extents[1])) return undefined;
  return { window: [y[0], x[0]], stride: [y[1], x[1]], dilation: [y[2], x[2]], pads: [y[3], x[3], y[4], x[4]], out: [y[5], x[5]] };
}

function sameImage(values: readonly PlanValue[], like: PlanValue): number[] {
  const words = (v: PlanValue): string => JSON.stringify([physicalDims(v), v.pitch]);
  return [...values.keys()].filter((i) => words(values[i]!) === words(like));
}

function like(builder: Builder, value: PlanValue, type: PlanValue["type"] = "int8"): number {
  const index = builder.value(value.dims, type, value.order);
  builder.values[index]!.pitch = value.pitch;
  return index;
}

/** Steps that can follow; each adds its own and returns the value it wrote, or undefined where it does not fit. */
const moves: Record<string, (builder: Builder, input: number, written: readonly number[]) => number | undefined> = {
  conv(builder, input, written) {
    const { dice, values } = builder;
    const x = values[input]!;
    if (x.dims.length !== 3 && x.dims.length > 2) return undefined;
    const view = imageView(x);
    const geometry = windowOn(dice, [view.height, view.width], dice.chance(15) ? 3 : 0);
    if (geometry === undefined) return undefined;
    if (x.dims.length === 1 && geometry.out[0] * geometry.out[1] !== 1) return undefined;
    if (x.dims.length === 2 && geometry.out[0] !== 1) return undefined;
    const divisors = [1, 2, 3, 4, view.channels].filter((g) => view.channels % g === 0);
    const groups = dice.chance(50) ? 1 : dice.pick(divisors);
    const channels =
      groups === view.channels && dice.chance(70) ? view.channels : groups * dice.between(1, Math.max(1, Math.floor(20 / groups)));
    const [height, width] = geometry.out;
    const dims = x.dims.length === 1 ? [channels] : x.dims.length === 2 ? [width, channels] : [channels, height, width];
    const kind = dice.pick(["requantize", "requantize", "residual", "accumulator"] as const);
    const output = builder.value(dims, kind === "accumulator" ? "int32" : "int8");
    const taps = (geometry.window[0] * geometry.window[1] * view.channels) / groups;
    const coded = dice.chance(30) ? codedWeights(dice, channels * taps) : undefined;
    const weights = coded?.weights ?? dice.codes(channels * taps, -127, 127);
    const bias = Int32Array.from({ length: channels }, () => dice.between(-20_000, 20_000));
    const bounds = Array.from({ length: channels }, (_, c) => {
      let [lo, hi] = [bias[c]!, bias[c]!];
      for (const w of weights.subarray(c * taps, (c + 1) * taps))
        [lo, hi] = [lo + Math.min(w * -128, w * 127), hi + Math.max(w * -128, w * 127)];
      return [lo, hi] as const;
    });
    const magnitudes = bounds.map(([lo, hi]) => Math.max(-lo, hi));
    const epilogue = (): Epilogue => {
      if (kind === "accumulator") return { kind };
      const others = kind === "residual" ? sameImage(values, values[output]!).filter((i) => written.includes(i)) : [];
      if (others.length === 0) return { kind: "requantize", ...builder.requantization(magnitudes) };
      const other = values[dice.pick(others)]!;
      const index = values.indexOf(other);
      const bits = dice.between(16, 36);
      const magnitude = Math.max(...magnitudes);
      const factor = (range: number): Int32Array =>
        Int32Array.from(
          { length: channels },
          () => Math.min(2 ** 31 - 1, dice.between(0, Math.ceil((2 ** bits * 128) / range))) * dice.pick([1, 1, 1, -1]),
        );
      return {
        kind: "residual",
        value: index,
        residualZero: other.type === "int8" ? dice.between(-128, 127) : 0,
        multiplier: builder.tensor(factor(magnitude)),
        residualMultiplier: builder.tensor(factor(other.type === "int8" ? 128 : 2 ** 20)),
        bits,
        ...builder.clamp(),
      };
    };
    const accumulator = [Math.min(...bounds.map((b) => b[0])), Math.max(...bounds.map((b) => b[1]))] as const;
    const { window, stride, dilation, pads } = geometry;
    builder.steps.push({
      kernel: "conv",
      nodes: [`conv_${builder.steps.length}`],
      input,
      output,
      window,
      stride,
      dilation,
      pads,
      groups,
      weights: builder.tensor(coded?.stream ?? weights),
      ...(coded && { codes: { bits: coded.bits, levels: builder.tensor(coded.levels) } }),
      bias: builder.tensor(bias),
      epilogue: epilogue(),
      accumulator,
    });
    if (builder.steps.at(-1)!.kernel === "conv" && values[output]!.type === "int32") return output;
    return output;
  },

  add(builder, input, written) {
    const { dice, values } = builder;
    const b = operand(builder, input, written);
    const bits = dice.between(10, 30);
    const multipliers = [dice.between(-(2 ** bits), 2 ** bits), dice.between(-(2 ** bits), 2 ** bits)] as const;
    const output = like(builder, values[input]!);
    builder.steps.push({ kernel: "add", nodes: [], inputs: [input, b], output, multipliers, bits, ...builder.clamp() });
    return output;
  },

  mul(builder, input, written) {
    const { dice, values } = builder;
    const b = operand(builder, input, written);
    const output = like(builder, values[input]!);
    const multiplier = dice.chance(5) ? 0 : 2 ** 30 + dice.between(0, 2 ** 30 - 1);
    builder.steps.push({
      kernel: "mul",
      nodes: [],
      inputs: [input, b],
      output,
      multiplier,
      shift: dice.between(-12, -3),
      ...builder.clamp(),
    });
    return output;
  },

  lookup(builder, input) {
    const { dice, values } = builder;
    const perChannel = dice.chance(50);
    const channels = physicalDims(values[input]!).at(-1)!;
    const table = builder.tensor(dice.codes(256 * (perChannel ? channels : 1)));
    const output = like(builder, values[input]!);
    builder.steps.push({ kernel: "lookup", nodes: [], input, output, table, perChannel });
    return output;
  },

  pool(builder, input) {
    const { dice, values } = builder;
    const x = values[input]!;
    if (x.dims.length !== 3) return undefined;
    const view = imageView(x);
    const whole = dice.chance(25);
    const geometry = whole
      ? ({ window: [view.height, view.width], stride: [1, 1], dilation: [1, 1], pads: [0, 0, 0, 0], out: [1, 1] } as Windowed)
      : windowOn(dice, [view.height, view.width]);
    if (geometry === undefined) return undefined;
    const { window, stride, dilation, pads, out } = geometry;
    const output = builder.value([view.channels, out[0], out[1]]);
    values[output]!.pitch = x.pitch;
    const common = { nodes: [], input, output, window, stride, dilation, pads, includePads: dice.chance(50) };
    if (dice.chance(50)) {
      builder.steps.push({ kernel: "maxpool", ...common });
      return output;
    }
    const taps = window[0] * window[1];
    const requantization = builder.requantization(Array.from({ length: taps }, (_, i) => (i + 1) * 255));
    builder.steps.push({ kernel: "avgpool", ...common, requantization });
    return output;
  },

  softmax(builder, input) {
    const { dice, values } = builder;
    const table = Uint32Array.from({ length: 256 }, (_, i) => (i === 0 ? 2 ** 23 : dice.between(0, (2 ** 23) >>> Math.min(i, 23))));
    const output = like(builder, values[input]!);
    builder.steps.push({ kernel: "softmax", nodes: [], input, output, table: builder.tensor(table) });
    return output;
  },

  layernorm(builder, input) {
    const { values } = builder;
    const output = like(builder, values[input]!);
    const n = physicalDims(values[input]!).at(-1) ?? 1;
    builder.steps.push({ kernel: "layernorm", nodes: [], input, output, ...normalization(builder, n), ...builder.clamp() });
    return output;
  },

  /** With itself turned over, or with a constant. */
  matmul(builder, input) {
    const { dice, values } = builder;
    const x = values[input]!;
    if (x.dims.length < 2) return undefined;
    const [m, k] = x.dims.slice(-2) as [number, number];
    const squares = m === k && dice.chance(50);
    const n = squares ? k : dice.between(1, 20);
    const order = dice.chance(50) ? undefined : dice.pick([[...x.dims.keys()], [...x.dims.keys()].reverse()]);
    const right = squares ? input : builder.value([...x.dims.slice(0, -2), k, n], "int8", order);
    if (!squares) {
      const data = builder.tensor(dice.codes(logicalElements(values[right]!)));
      builder.steps.push({ kernel: "constant", nodes: [], output: right, data });
    }
    const output = builder.value([...x.dims.slice(0, -2), m, n], "int8", [...x.dims.keys()]);
    const magnitude = k * 255 * 255;
    const requantization = builder.requantization(new Array<number>(n).fill(magnitude));
    const accumulator = [-magnitude, magnitude] as const;
    builder.steps.push({ kernel: "matmul", nodes: ["qk"], inputs: [input, right], output, requantization, accumulator });
    return output;
  },

  transpose(builder, input) {
    const { dice, values } = builder;
    const x = values[input]!;
    const fill = dice.chance(50) ? dice.between(-128, 127) : undefined;
    const order = dice.pick(
      x.dims.length === 3
        ? [
            [0, 1, 2],
            [1, 2, 0],
            [2, 0, 1],
          ]
        : x.dims.length === 2
          ? [
              [0, 1],
              [1, 0],
            ]
          : [[0]],
    );
    const output = builder.value(x.dims, x.type, order);
    const [inStrides, outStrides] = [logicalStrides(x), logicalStrides(values[output]!)];
    const copy = { kernel: "copy", nodes: [], input, output, dims: x.dims, inStrides, inOffset: 0, outStrides, outOffset: 0 } as const;
    builder.steps.push({ ...copy, fill });
    return output;
  },

  /** A border of one code per channel. */
  pad(builder, input) {
    const { dice, values } = builder;
    const x = values[input]!;
    if (x.type !== "int8" || x.dims.length === 0) return undefined;
    const before = x.dims.map(() => dice.between(0, 3));
    const output = builder.value(
      x.dims.map((d, i) => d + before[i]! + dice.between(0, 3)),
      "int8",
      x.order,
    );
    const [inStrides, outStrides] = [logicalStrides(x), logicalStrides(values[output]!)];
    const outOffset = before.reduce((sum, n, i) => sum + n * outStrides[i]!, 0);
    const fills = builder.tensor(dice.codes(physicalDims(values[output]!).at(-1)!));
    builder.steps.push({ kernel: "copy", nodes: [], input, output, dims: x.dims, inStrides, inOffset: 0, outStrides, outOffset, fills });
    return output;
  },

  concat(builder, input, written) {
    const { dice, values } = builder;
    const x = values[input]!;
    if (x.dims.length !== 3) return undefined;
    const fits = (i: number): boolean => {
      const y = values[i]!;
      return y.type === x.type && y.dims.length === 3 && y.dims[1] === x.dims[1] && y.dims[2] === x.dims[2];
    };
    const parts = [input, ...(dice.chance(50) ? [dice.pick(written.filter(fits))] : []), input];
    const channels = parts.reduce((sum, i) => sum + values[i]!.dims[0]!, 0);
    if (channels > 64) return undefined;
    const output = builder.value([channels, x.dims[1]!, x.dims[2]!], x.type);
    const out = logicalStrides(values[output]!);
    let first = 0;
    for (const part of parts) {
      const { dims } = values[part]!;
      const inStrides = logicalStrides(values[part]!);
      builder.steps.push({
        kernel: "copy",
        nodes: [],
        input: part,
        output,
        dims,
        inStrides,
        inOffset: 0,
        outStrides: out,
        outOffset: first * out[0]!,
      });
      first += dims[0]!;
    }
    return output;
  },
};

/** Numbers of a layer normalization of rows of n codes. */
function normalization(builder: Builder, n: number): { epsilon: number; gamma: string; beta: string } {
  const { dice } = builder;
  return {
    epsilon: dice.pick([1, dice.between(1, 1000), 2 ** 44 + dice.between(0, 1000)]),
    gamma: builder.tensor(Int32Array.from({ length: n }, () => dice.between(-300_000, 300_000))),
    beta: builder.tensor(Int32Array.from({ length: 2 * n }, (_, i) => (i % 2 === 0 ? dice.next() | 0 : dice.between(-3, 3)))),
  };
}

function operand(builder: Builder, input: number, written: readonly number[]): number {
  const { dice, values } = builder;
  const channels = physicalDims(values[input]!).at(-1)!;
  const codes = written.filter((i) => values[i]!.type === "int8");
  const full = sameImage(values, values[input]!).filter((i) => codes.includes(i));
  const vectors = codes.filter((i) => logicalElements(values[i]!) === channels && physicalDims(values[i]!).at(-1) === channels);
  const singles = codes.filter((i) => logicalElements(values[i]!) === 1);
  return dice.pick([full, vectors, singles].filter((group) => group.length > 0)[dice.next() % 3] ?? full);
}

export interface Extents {
  readonly channels: number;
  readonly side: number;
}

/** A program of up to `length` random steps; every value that nothing reads is an output. */
export function randomPlan(seed: number, length = 8, most: Extents = { channels: 20, side: 9 }): Plan {
  const dice = new Dice(seed);
  const builder = new Builder(dice);
  const dims = dice.pick<readonly number[]>([
    [dice.between(1, most.channels), dice.between(1, most.side), dice.between(1, most.side)],
    [dice.between(1, most.channels), dice.between(1, most.side), dice.between(1, most.side)],
    [dice.between(1, 7), dice.between(1, 40)],
    [dice.between(1, 40)],
  ]);
  const inputs = [builder.value(dims)];
  if (dice.chance(30)) inputs.push(builder.value(dims));
  if (dice.chance(20)) inputs.push(builder.value([dims.length === 3 ? dims[0]! : dims.at(-1)!]));
  const written = [...inputs];
  const read = new Set<number>();
  const copies = new Set(["transpose", "concat", "pad"]);
  for (let i = 0; i < length; i++) {
    const name = dice.pick([
      "conv",
      "conv",
      "conv",
      "add",
      "mul",
      "lookup",
      "pool",
      "softmax",
      "transpose",
      "concat",
      "pad",
      "layernorm",
      "matmul",
    ]);
    const candidates = written.filter((v) => builder.values[v]!.type === "int8" || copies.has(name));
    const input = dice.chance(70) ? candidates.at(-1)! : dice.pick(candidates);
    if (storedElements(builder.values[input]!) > 4 * most.channels * most.side ** 2) continue;
    const before = builder.values.length;
    const output = moves[name]!(builder, input, written);
    if (output === undefined) {
      builder.values.length = before;
      continue;
    }
    written.push(output);
  }
  for (const step of builder.steps) {
    for (const v of stepInputs(step)) read.add(v);
  }
  const outputs = written.filter((v) => !read.has(v));
  const pixels = inputs.length === 1 && dice.chance(30);
  if (pixels) builder.values[inputs[0]!]!.scale = [1];
  return builder.finish(inputs, outputs.length > 0 ? outputs : [written.at(-1)!], {
    preprocessing: { scale: 1 / 255, mean: [0.5], std: [0.25] },
    ...(pixels && { pixels }),
    labels: ["ink", "paper"],
    provenance: { source: "random", seed },
  });
}
