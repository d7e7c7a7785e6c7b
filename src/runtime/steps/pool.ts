import { assert } from "../../errors.ts";
import type { Plan, PoolStep, Requantization } from "../../plan/types.ts";
import type { IntegerKernels } from "../kernels.ts";
import { inArena, type PreparedStep, Program, plus } from "../program.ts";
import { type Image, image, roundUp, slices } from "./image.ts";
import { clamp, type Requantizer, requantizer } from "./rounding.ts";
import { int32Tensor } from "./tensors.ts";
import { Windows } from "./windows.ts";

/** Output pixels per call, so that a slice's accumulators and border stay in cache. */
const slicePixels = 256;

const sliceRowsOf = (y: Image): number => Math.min(y.height, Math.max(1, Math.floor(slicePixels / y.width)));

/** The largest code of every window; taps outside the image count as the smallest code. */
export function prepareMaxpool(step: PoolStep, plan: Plan, kernels: IntegerKernels): PreparedStep {
  const program = new Program();
  const x = image(plan.values[step.input]!);
  const y = image(plan.values[step.output]!);
  assert(x.size === 1 && y.size === 1 && x.channels === y.channels, "a pool keeps channels and codes");
  const sliceRows = sliceRowsOf(y);
  const windows = new Windows(program, kernels, x, step, { rows: y.height, columns: y.width, sliceRows }, -128);
  const [kh, kw] = step.window;
  const channels = Math.min(x.pitch, y.pitch);
  for (const [r0, r1] of slices(y.height, sliceRows)) {
    const { from, xStep, yStep, xTap, yTap } = windows.rows(r0, r1);
    const to = inArena(y.offset + r0 * y.width * y.pitch);
    program.call(kernels.maxpool, from, to, y.pitch, channels, r1 - r0, y.width, xStep, yStep, kh, kw, xTap, yTap);
  }
  return program;
}

/** Sums of (code − zero) by a kernel, then one requantization per run of pixels with the same number of taps. */
export function prepareAvgpool(step: PoolStep, plan: Plan, kernels: IntegerKernels): PreparedStep {
  const program = new Program();
  const x = image(plan.values[step.input]!);
  const y = image(plan.values[step.output]!);
  assert(x.size === 1 && y.size === 1 && x.channels === y.channels, "a pool keeps channels and codes");
  assert(step.requantization, "an average pool has a requantization");
  const sliceRows = sliceRowsOf(y);
  const windows = new Windows(program, kernels, x, step, { rows: y.height, columns: y.width, sliceRows }, x.zeroPoint);
  const [kh, kw] = step.window;
  const panels = Math.ceil(x.channels / 8);
  const panelPitch = sliceRows * y.width * 32;
  const acc = program.scratch(panels * panelPitch);
  const channels = y.pitch % 8 === 0 ? roundUp(y.channels, 8) : y.channels;
  const average = averages(program, plan, kernels, step.requantization, panels, kh * kw * 255);
  for (const [r0, r1] of slices(y.height, sliceRows)) {
    const { from, xStep, yStep, xTap, yTap } = windows.rows(r0, r1);
    program.call(kernels.sumpool, from, r1 - r0, y.width, xStep, yStep, kh, kw, xTap, yTap, x.zeroPoint, acc, panelPitch, panels);
    for (const { first, count, taps } of runs(step, x, y, r0, r1)) {
      const { run, constants, mode } = average(taps);
      const out = inArena(y.offset + (r0 * y.width + first) * y.pitch);
      const written = [out, y.pitch, count, channels] as const;
      program.call(run, plus(acc, first * 32), panelPitch, ...written, constants, mode, step.requantization.zero);
      clamp(program, kernels, step.requantization, ...written);
    }
  }
  return program;
}

interface Run {
  readonly first: number;
  readonly count: number;
  readonly taps: number;
}

/** Neighbouring output pixels of rows [r0, r1) whose windows hold equally many taps; `first` counts from row r0. */
function runs(step: PoolStep, x: Image, y: Image, r0: number, r1: number): Run[] {
  const inRows = Array.from({ length: r1 - r0 }, (_, i) => tapsInside(step, 0, r0 + i, x.height));
  const inColumns = Array.from({ length: y.width }, (_, i) => tapsInside(step, 1, i, x.width));
  const all: Run[] = [];
  inRows.forEach((rows, r) => {
    inColumns.forEach((columns, c) => {
      const last = all.at(-1);
      const taps = rows * columns;
      if (last?.taps === taps) all[all.length - 1] = { ...last, count: last.count + 1 };
      else all.push({ first: r * y.width + c, count: 1, taps });
    });
  });
  return all;
}

/** Taps of output i along one axis that count: inside the image, or inside its padding where that counts too. */
function tapsInside(step: PoolStep, axis: 0 | 1, i: number, size: number): number {
  const before = step.pads[axis]!;
  const [from, to] = step.includePads ? [-before, size + step.pads[axis + 2]!] : [0, size];
  let taps = 0;
  for (let k = 0; k < step.window[axis]; k++) {
    const at = i * step.stride[axis] - before + k * step.dilation[axis];
    if (at >= from && at < to) taps++;
  }
  return taps;
}

/** The requantization by each number of taps, packed when first asked for. */
function averages(
  program: Program,
  plan: Plan,
  kernels: IntegerKernels,
  r: Requantization,
  panels: number,
  bound: number,
): (taps: number) => Requantizer {
  const multipliers = int32Tensor(plan, r.multiplier);
  const shifts = int32Tensor(plan, r.shift);
  const known = new Map<number, Requantizer>();
  return (taps) => {
    const all = (v: number): Int32Array => new Int32Array(panels * 8).fill(v);
    const found =
      known.get(taps) ?? requantizer(program, kernels, r.rounding, all(multipliers[taps - 1]!), all(31 - shifts[taps - 1]!), () => bound);
    known.set(taps, found);
    return found;
  };
}
