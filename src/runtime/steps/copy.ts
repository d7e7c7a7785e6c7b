import { assert } from "../../errors.ts";
import type { CopyStep, Plan } from "../../plan/types.ts";
import type { IntegerKernels } from "../kernels.ts";
import { inArena, type PreparedStep, Program } from "../program.ts";
import { type Image, image, pixels } from "./image.ts";
import { int8Tensor } from "./tensors.ts";

/** One axis of a copy; strides in elements. */
interface Axis {
  readonly n: number;
  readonly from: number;
  readonly to: number;
}

/** Axes of length 1 dropped, neighbours that are one walk in both buffers joined. */
function joinAxes(step: CopyStep): Axis[] {
  const axes: Axis[] = [];
  step.dims.forEach((n, i) => {
    const axis = { n, from: step.inStrides[i]!, to: step.outStrides[i]! };
    const outer = axes.at(-1);
    if (n === 1) return;
    if (outer && outer.from === n * axis.from && outer.to === n * axis.to) axes[axes.length - 1] = { ...axis, n: outer.n * n };
    else axes.push(axis);
  });
  return axes;
}

/** Bytes of pixels that are written at a time. */
const patternBytes = 4096;

/** Every pixel of y becomes `codes`: copies of a row of such pixels. */
function fillPixels(program: Program, kernels: IntegerKernels, y: Image, codes: Int8Array): void {
  const count = Math.min(pixels(y), Math.max(1, Math.floor(patternBytes / y.pitch)));
  const pattern = new Int8Array(count * y.pitch);
  for (let i = 0; i < count; i++) pattern.set(codes, i * y.pitch);
  const from = program.constant(pattern);
  const whole = Math.floor(pixels(y) / count);
  const rest = (pixels(y) - whole * count) * y.pitch;
  const fill = (to: number, n: number, run: number): void =>
    program.call(kernels.copyRuns, from, inArena(y.offset + to), 1, 1, n, 0, 0, 0, 0, 0, run, run);
  fill(0, whole, pattern.length);
  if (rest > 0) fill(whole * pattern.length, 1, rest);
}

/** A strided copy: the kernels take runs within three axes, or single elements within four; outer axes become calls of their own. */
export function prepareCopy(step: CopyStep, plan: Plan, kernels: IntegerKernels): PreparedStep {
  const program = new Program();
  const x = image(plan.values[step.input]!);
  const y = image(plan.values[step.output]!);
  assert(x.size === y.size, "a copy keeps the element type");
  const size = x.size;
  if (step.fill !== undefined) {
    program.call(size === 1 ? kernels.fillCodes : kernels.fillWords, inArena(y.offset), step.fill, pixels(y) * y.pitch);
  }
  if (step.fills !== undefined) fillPixels(program, kernels, y, int8Tensor(plan, step.fills));
  if (step.dims.some((n) => n === 0)) return program;
  const axes = joinAxes(step);
  const last = axes.at(-1);
  const run = !last ? 1 : last.from === 1 && last.to === 1 ? last.n : 0;
  if (run && last) axes.pop();
  const inner = run ? 3 : 4;
  while (axes.length < inner) axes.unshift({ n: 1, from: 0, to: 0 });
  const outer = axes.slice(0, axes.length - inner);
  const kept = axes.slice(axes.length - inner);
  const args = [kept.map((a) => a.n), kept.map((a) => a.from * size), kept.map((a) => a.to * size)].flat();
  const kernel = run ? kernels.copyRuns : size === 1 ? kernels.copyCodes : kernels.copyWords;
  const emit = (axis: number, from: number, to: number): void => {
    const { n, from: fromStride, to: toStride } = outer[axis] ?? { n: 0, from: 0, to: 0 };
    if (axis === outer.length) {
      const tail = run ? [run * size] : [];
      program.call(kernel as (...args: number[]) => void, inArena(x.offset + from * size), inArena(y.offset + to * size), ...args, ...tail);
    }
    for (let i = 0; i < n; i++) emit(axis + 1, from + i * fromStride, to + i * toStride);
  };
  emit(0, step.inOffset, step.outOffset);
  return program;
}
