// Sums of products of a layer's inputs, made where the activations lie: windows of a block of positions as float64, then their products.
import type { DeviceTensor } from "../../engine/types.ts";
import type { FloatKernels } from "../../engine/kernels.ts";
import { assert } from "../../errors.ts";
import { type Convolution, convolutionOf } from "../../ops/conv.geometry.ts";
import { convertLayout, sameInBothLayouts, sizeOf } from "../../ops/strided.ts";
import { outputSize, windowOf } from "../../ops/windows.ts";
import { padded4 } from "./algebra.ts";
import type { LayerView } from "./layer.ts";

/** An engine's linear memory. */
export interface Home {
  readonly kernels: FloatKernels;
  readonly memory: WebAssembly.Memory;
  allocate(bytes: number): number;
  release(ptr: number): void;
}

/** Inputs at one place of a network: values, and the step that all of them are multiples of (0: none; they are taken as they are). */
export interface Inputs {
  readonly tensor: DeviceTensor;
  readonly step: number;
}

/**
 * Σ (x̂, 1)(x̂, 1)ᵀ and Σ (y, 1)(x̂, 1)ᵀ in float64: x̂ in units of its step, y the outputs that the layer has in the float network, bias
 * included. Of the first only elements on and above the diagonal count.
 * Dense: [groups][columns or rows + 1][columns + 1], sizes made multiples of 4. Depthwise: [⌈channels / 2⌉][…][…][2], sizes made even.
 */
export interface LayerSums {
  readonly inputs: Float64Array;
  readonly outputs?: Float64Array | undefined;
}

/** Positions between two rounds of products: a panel of 4 columns and as many rows is 8 KiB. */
const blockRows = 256;
/** Floats of depthwise windows at a time. */
const blockFloats = 1 << 15;

/** Sizes with the constant 1 and their padding. */
export const extended = ({ depthwise }: { readonly depthwise: boolean }, size: number): number =>
  depthwise ? Math.ceil((size + 1) / 2) * 2 : padded4(size + 1);

/** Elements of the sums of `height` × columns. */
function sumsLength(view: LayerView, height: number): number {
  const { groups, columns, depthwise } = view;
  return (depthwise ? Math.ceil(groups / 2) * 2 : groups) * extended(view, height) * extended(view, columns);
}

/** Rows of float32 at `ptr`, `pitch` bytes apart. */
interface Rows {
  readonly ptr: number;
  readonly pitch: number;
}

/** Rows of the input matrix: `rows` lays rows first…end − 1 of one group out. */
interface Source {
  readonly count: number;
  rows(group: number, first: number, end: number): Rows;
}

/**
 * Collects the sums of one layer over any number of batches.
 * Memory: 8 bytes for each element of the sums, and one block of windows.
 */
export class Gatherer {
  readonly view: LayerView;
  readonly #home: Home;
  readonly #inputs: number;
  readonly #outputs: number;
  readonly #scratch: number[] = [];

  /** @param aims whether sums with the outputs of the float network are wanted */
  constructor(home: Home, view: LayerView, aims: boolean) {
    this.#home = home;
    this.view = view;
    this.#inputs = this.#zeros(view.columns);
    this.#outputs = aims ? this.#zeros(view.rows) : 0;
  }

  #zeros(height: number): number {
    const length = sumsLength(this.view, height);
    const ptr = this.#home.allocate(length * 8);
    new Float64Array(this.#home.memory.buffer, ptr, length).fill(0);
    return ptr;
  }

  /**
   * Adds the first `samples` of a batch.
   *
   * @param weights dims of the weights
   * @param inputs  x̂
   * @param outputs y of the same samples, where it is wanted
   */
  add(weights: readonly number[], samples: number, inputs: Inputs, outputs?: DeviceTensor): void {
    if (this.view.depthwise) this.#addDepthwise(weights, samples, inputs, outputs);
    else this.#addDense(weights, samples, inputs, outputs);
    for (const ptr of this.#scratch.splice(0)) this.#home.release(ptr);
  }

  /** The sums so far. Ends the collection. */
  take(): LayerSums {
    const { rows, columns } = this.view;
    const read = (ptr: number, height: number): Float64Array =>
      new Float64Array(this.#home.memory.buffer, ptr, sumsLength(this.view, height)).slice();
    const sums: LayerSums = { inputs: read(this.#inputs, columns), outputs: this.#outputs ? read(this.#outputs, rows) : undefined };
    this.#home.release(this.#inputs);
    if (this.#outputs) this.#home.release(this.#outputs);
    return sums;
  }

  #take(bytes: number): number {
    const ptr = this.#home.allocate(bytes + 16);
    this.#scratch.push(ptr);
    return ptr;
  }

  #addDense(weights: readonly number[], samples: number, { tensor, step }: Inputs, outputs: DeviceTensor | undefined): void {
    const { groups, rows, columns } = this.view;
    const { kernels } = this.#home;
    const [width, height] = [extended(this.view, columns), extended(this.view, rows)];
    const source = this.#source(weights, samples, tensor);
    const y = outputs && this.#in(outputs, this.view.node.op === "Conv" ? "channels-last" : "row-major");
    // Whole numbers are added exactly in float32, twice as many at a time.
    const whole = step > 0 ? this.#take(width * blockRows * 4) : 0;
    const panels = !whole || y !== undefined ? this.#take(width * blockRows * 8) : 0;
    const aims = y === undefined ? 0 : this.#take(height * blockRows * 8);
    for (let first = 0; first < source.count; first += blockRows) {
      const count = Math.min(source.count - first, blockRows);
      for (let g = 0; g < groups; g++) {
        const { ptr, pitch } = source.rows(g, first, first + count);
        const to = this.#inputs + g * width * width * 8;
        if (panels) kernels.packPanels64(panels, ptr, pitch, count, columns, step);
        if (whole) {
          kernels.packPanels32(whole, ptr, pitch, count, columns, step);
          kernels.outer32(to, width * 8, whole, count, width);
        } else kernels.outer64(to, width * 8, panels, 32, count * 32, panels, 32, count * 32, count, width, width, 1);
        if (y === undefined) continue;
        kernels.packPanels64(aims, y + (first * groups + g) * rows * 4, groups * rows * 4, count, rows, 0);
        const at = this.#outputs + g * height * width * 8;
        kernels.outer64(at, width * 8, aims, 32, count * 32, panels, 32, count * 32, count, height, width, 0);
      }
    }
  }

  #addDepthwise(weights: readonly number[], samples: number, { tensor, step }: Inputs, outputs: DeviceTensor | undefined): void {
    const { columns, groups } = this.view;
    const { kernels } = this.#home;
    const shape = this.#shape(weights, tensor.dims, samples);
    const pairs = Math.ceil(groups / 2);
    const taps = extended(this.view, columns);
    const block = Math.max(8, Math.floor(blockFloats / (columns * groups)));
    const x = this.#in(tensor, "channels-last");
    const y = outputs && this.#in(outputs, "channels-last");
    const windows = this.#take(block * columns * groups * 4);
    const packed = this.#take(pairs * block * taps * 16);
    const aims = y === undefined ? 0 : this.#take(pairs * block * 2 * 16);
    const positions = shape.n * shape.oh * shape.ow;
    for (let first = 0; first < positions; first += block) {
      const count = Math.min(positions - first, block);
      this.#windows(windows, x, shape, groups, 0, first, first + count);
      kernels.packDepthwise64(packed, windows, count, columns, groups, step);
      kernels.outerDepthwise64(this.#inputs, packed, taps, packed, taps, pairs, count, 1);
      if (y === undefined) continue;
      kernels.packDepthwise64(aims, y + first * groups * 4, count, 1, groups, 0);
      kernels.outerDepthwise64(this.#outputs, aims, 2, packed, taps, pairs, count, 0);
    }
  }

  #source(weights: readonly number[], samples: number, tensor: DeviceTensor): Source {
    const { node, columns, groups } = this.view;
    if (node.op !== "Conv") {
      const x = this.#in(tensor, "row-major");
      const count = (sizeOf(tensor.dims) / columns / tensor.dims[0]!) * samples;
      assert(Number.isInteger(count), "samples have equally many rows");
      return { count, rows: (_, first) => ({ ptr: x + first * columns * 4, pitch: columns * 4 }) };
    }
    const x = this.#in(tensor, "channels-last");
    const s = this.#shape(weights, tensor.dims, samples);
    const count = s.n * s.oh * s.ow;
    const inner = s.c / groups;
    if (s.kh * s.kw === 1 && s.sy === 1 && s.sx === 1 && s.oh === s.h && s.ow === s.w && s.top === 0 && s.left === 0) {
      return { count, rows: (g, first) => ({ ptr: x + (first * s.c + g * inner) * 4, pitch: s.c * 4 }) };
    }
    const windows = this.#take(blockRows * columns * 4);
    return {
      count,
      rows: (g, first, end) => {
        this.#windows(windows, x, s, inner, g, first, end);
        return { ptr: windows, pitch: columns * 4 };
      },
    };
  }

  /** Windows of output positions first…end − 1, counted over all images. */
  #windows(dst: number, x: number, s: Convolution, channels: number, group: number, first: number, end: number): void {
    const bytes = s.kh * s.kw * channels * 4;
    for (let p = first; p < end; ) {
      const ox = p % s.ow;
      const row = (p - ox) / s.ow;
      const oy = row % s.oh;
      const run = Math.min(end - p, s.ow - ox);
      const image = x + (((row - oy) / s.oh) * s.h * s.w * s.c + group * channels) * 4;
      const to = dst + (p - first) * bytes;
      const [iy, ix] = [oy * s.sy - s.top, ox * s.sx - s.left];
      this.#home.kernels.im2col(to, image, s.h, s.w, s.c, channels, s.kh, s.kw, s.dy, s.dx, iy, ix, s.sx, run);
      p += run;
    }
  }

  #shape(weights: readonly number[], x: readonly number[], samples: number): Convolution {
    const { node } = this.view;
    const window = windowOf(node, weights.slice(2));
    const y = [x[0]!, weights[0]!, ...x.slice(2).map((size, axis) => Number(outputSize(node, window, size, axis)))];
    return { ...convolutionOf(node, x, weights, y), n: samples };
  }

  #in(tensor: DeviceTensor, layout: DeviceTensor["layout"]): number {
    if (tensor.layout === layout || sameInBothLayouts(tensor.dims)) return tensor.ptr;
    const ptr = this.#take(sizeOf(tensor.dims) * 4);
    convertLayout(this.#home.kernels, ptr, tensor, layout);
    return ptr;
  }
}
