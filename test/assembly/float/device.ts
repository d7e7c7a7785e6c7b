import { Context } from "../../../src/engine/context.ts";
import { type FloatKernels, instantiateKernels, loadFloat } from "../../../src/engine/kernels.ts";
import type { DeviceTensor, ForwardKernel, Layout } from "../../../src/engine/types.ts";
import { Device } from "../../../src/engine/values.ts";
import type { Attribute, GraphNode, Tensor } from "../../../src/graph/types.ts";

export const kernels: FloatKernels = await instantiateKernels(await loadFloat());
const device = new Device(kernels);

/** Deterministic numbers of both signs, about normal. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return () => Math.fround(uniform() + uniform() + uniform() + uniform() - 2);
}

export function randomTensor(dims: readonly number[], next: () => number, factor = 1): Tensor {
  const size = dims.reduce((p, d) => p * d, 1);
  return { dtype: "float32", dims, data: Float32Array.from({ length: size }, () => next() * factor) };
}

/** [N, C, spatial…] as [N, spatial…, C], or back. */
export function reorder(t: Tensor, to: Layout): Float32Array {
  const [n, c, ...spatial] = t.dims as [number, number, ...number[]];
  const s = spatial.reduce((p, d) => p * d, 1);
  const out = new Float32Array(t.data.length);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < c; j++) {
      for (let k = 0; k < s; k++) {
        const [rowMajor, channelsLast] = [(i * c + j) * s + k, (i * s + k) * c + j];
        if (to === "channels-last") out[channelsLast] = t.data[rowMajor] as number;
        else out[rowMajor] = t.data[channelsLast] as number;
      }
    }
  }
  return out;
}

/** Guards after every tensor: a kernel that writes beyond its output is caught. */
const guard = 8;
const mark = 12345.5;

function place(data: Float32Array, dims: readonly number[], layout: Layout): DeviceTensor {
  const ptr = device.memory.allocate((data.length + guard) * 4);
  device.memory.f32.set(data, ptr / 4);
  device.memory.f32.fill(mark, ptr / 4 + data.length, ptr / 4 + data.length + guard);
  return { dims, layout, ptr };
}

/**
 * Calls `body` with tensors in linear memory, the last of them NaN everywhere, and returns that one afterwards, row-major.
 * The first two are channels-last, and so is the result if `layout` says so.
 */
export function runOnDevice(
  attributes: Readonly<Record<string, Attribute>>,
  inputs: readonly [Tensor, Tensor],
  dims: readonly number[],
  layouts: readonly [Layout, Layout, Layout],
  body: (context: Context, node: GraphNode, x: DeviceTensor, y: DeviceTensor, result: DeviceTensor) => void,
): Tensor {
  const context = new Context(device, () => undefined);
  const node: GraphNode = { name: "test", op: "Conv", inputs: ["x", "w"], outputs: ["y"], attributes };
  const [x, y] = inputs.map((t, i) =>
    place(layouts[i] === "channels-last" ? reorder(t, layouts[i]) : (t.data as Float32Array), t.dims, layouts[i]!),
  );
  const size = dims.reduce((p, d) => p * d, 1);
  const result = place(new Float32Array(size).fill(Number.NaN), dims, layouts[2]);
  body(context, node, x!, y!, result);
  context.endStep();
  checkGuards([x!, y!, result]);
  const data = device.memory.f32.slice(result.ptr / 4, result.ptr / 4 + size);
  for (const t of [x!, y!, result]) device.memory.free(t.ptr);
  const tensor: Tensor = { dtype: "float32", dims, data };
  return layouts[2] === "channels-last" ? { ...tensor, data: reorder(tensor, "row-major") } : tensor;
}

function checkGuards(tensors: readonly (DeviceTensor | undefined)[]): void {
  for (const t of tensors) {
    if (!t) continue;
    const end = t.ptr / 4 + t.dims.reduce((p, d) => p * d, 1);
    if (!device.memory.f32.subarray(end, end + guard).every((x) => x === mark)) throw new Error("a kernel wrote beyond a tensor");
  }
}

export interface Case {
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly inputs: readonly (Tensor | undefined)[];
  readonly dims: readonly number[];
  /** Which inputs are constant; by default all but the first. */
  readonly constant?: readonly boolean[];
}

/** Runs one row on one output and returns it row-major. */
export function runKernel(row: ForwardKernel<FloatKernels>, { attributes = {}, inputs, dims, constant }: Case): Tensor {
  const names = inputs.map((input, i) => (input ? `in${i}` : ""));
  const node: GraphNode = { name: "test", op: row.op, inputs: names, outputs: ["out"], attributes };
  const isConstant = (i: number): boolean => constant?.[i] ?? i > 0;
  const context = new Context(device, (name) => {
    const i = names.indexOf(name);
    return name && isConstant(i) ? inputs[i] : undefined;
  });
  const layoutOf = (rank: number, i: number): Layout =>
    rank >= 3 && row.layout === "channels-last" && !isConstant(i) ? "channels-last" : "row-major";
  const placed = inputs.map((input, i) => {
    if (!input) return undefined;
    const layout = layoutOf(input.dims.length, i);
    return place(layout === "channels-last" ? reorder(input, layout) : (input.data as Float32Array), input.dims, layout);
  });
  const size = dims.reduce((p, d) => p * d, 1);
  const layout = dims.length >= 3 && row.layout === "channels-last" ? "channels-last" : "row-major";
  const output = place(new Float32Array(size).fill(Number.NaN), dims, layout);
  if (
    !row.accepts(
      node,
      inputs.map((t) => t?.dims),
      context.constant,
    )
  )
    throw new Error("the kernel does not accept this case");
  row.run(context, node, placed, [output]);
  context.endStep();
  checkGuards([...placed, output]);
  const data = device.memory.f32.slice(output.ptr / 4, output.ptr / 4 + size);
  for (const t of [...placed, output]) if (t) device.memory.free(t.ptr);
  const result: Tensor = { dtype: "float32", dims, data };
  return layout === "channels-last" ? { ...result, data: reorder(result, "row-major") } : result;
}

/** Largest difference relative to the largest expected magnitude. */
export function error(actual: Tensor, expected: Float64Array): number {
  let difference = 0;
  let largest = 0;
  expected.forEach((e, i) => {
    const d = Math.abs((actual.data[i] as number) - e);
    if (!(d <= difference)) difference = d; // a NaN stays
    largest = Math.max(largest, Math.abs(e));
  });
  return difference / (largest || 1);
}
