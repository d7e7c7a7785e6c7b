// Sliding windows shared by convolutions and pools: sizes, automatic padding, and the loop over positions.
import { addDims } from "../graph/dims.ts";
import type { Dim, GraphNode } from "../graph/types.ts";
import { freshDim, mismatch, number, numbersAttribute, show, text } from "./shape.ts";

/** A window along each spatial axis. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Explicit padding [before…, after…], or the rule that finds it from the sizes. */
  readonly pads: readonly number[];
  readonly auto: "NOTSET" | "VALID" | "SAME_UPPER" | "SAME_LOWER";
  readonly ceil: boolean;
}

/** An attribute with one integer per axis. @throws HalftoneError SHAPE_MISMATCH */
export function list(node: GraphNode, key: string, length: number, otherwise: number, least: number): readonly number[] {
  const given = numbersAttribute(node, key) ?? new Array<number>(length).fill(otherwise);
  if (given.length !== length || given.some((v) => !Number.isInteger(v) || v < least))
    throw mismatch(node, `${key} ${show(given)}`, `${length} integers of at least ${least}`);
  return given;
}

/** The window that a node's attributes describe. @throws HalftoneError SHAPE_MISMATCH */
export function windowOf(node: GraphNode, kernel: readonly number[]): Window {
  const rank = kernel.length;
  const auto = text(node, "auto_pad", "NOTSET");
  if (auto !== "NOTSET" && auto !== "VALID" && auto !== "SAME_UPPER" && auto !== "SAME_LOWER")
    throw mismatch(node, `auto_pad '${auto}'`, "NOTSET, VALID, SAME_UPPER or SAME_LOWER");
  return {
    kernel,
    strides: list(node, "strides", rank, 1, 1),
    dilations: list(node, "dilations", rank, 1, 1),
    pads: list(node, "pads", 2 * rank, 0, Number.MIN_SAFE_INTEGER),
    auto,
    ceil: number(node, "ceil_mode", 0) !== 0,
  };
}

/** Input positions that one window spans along an axis. */
export const extent = (w: Window, axis: number): number => (w.kernel[axis]! - 1) * w.dilations[axis]! + 1;

/** Padding before and after an axis of a known size. */
export function paddingOf(w: Window, size: number, axis: number): readonly [number, number] {
  if (w.auto === "NOTSET") return [w.pads[axis]!, w.pads[axis + w.kernel.length]!];
  if (w.auto === "VALID") return [0, 0];
  const stride = w.strides[axis]!;
  const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + extent(w, axis) - size);
  const less = Math.floor(total / 2);
  return w.auto === "SAME_UPPER" ? [less, total - less] : [total - less, less];
}

/**
 * Number of windows along an axis: ⌊(size + pads − extent) / stride⌋ + 1. With ceil_mode it is rounded up, but no window starts in
 * the padding after the input.
 * @source ONNX MaxPool, AveragePool, Conv
 */
export function outputSize(node: GraphNode, w: Window, size: Dim, axis: number): Dim {
  const stride = w.strides[axis]!;
  if (typeof size !== "number") {
    const same = w.auto === "SAME_UPPER" || w.auto === "SAME_LOWER";
    if (stride !== 1) return freshDim(node, axis + 2);
    const change = same
      ? 0
      : w.auto === "VALID"
        ? 1 - extent(w, axis)
        : w.pads[axis]! + w.pads[axis + w.kernel.length]! + 1 - extent(w, axis);
    return addDims(size, change) ?? freshDim(node, axis + 2);
  }
  const [before, after] = paddingOf(w, size, axis);
  const room = size + before + after - extent(w, axis);
  if (room < 0) throw mismatch(node, `a window of ${extent(w, axis)} on a padded size of ${size + before + after}`, "a window that fits");
  const windows = (w.ceil ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
  return w.ceil && (windows - 1) * stride >= size + before ? windows - 1 : windows;
}

/**
 * All positions of a window, flattened: tap t of the kernel at output position o reads input position `index[o · taps + t]`
 * of the spatial plane, or −1 in the padding.
 */
export interface Positions {
  readonly index: Int32Array;
  readonly outputs: number;
  readonly taps: number;
}

/** @param sizes spatial input sizes; @param out spatial output sizes */
export function positions(w: Window, sizes: readonly number[], out: readonly number[]): Positions {
  let index = new Int32Array(1);
  let outputs = 1;
  let taps = 1;
  for (const [axis, size] of sizes.entries()) {
    const [before] = paddingOf(w, size, axis);
    const [stride, dilation, kernel, n] = [w.strides[axis]!, w.dilations[axis]!, w.kernel[axis]!, out[axis]!];
    const next = new Int32Array(outputs * n * taps * kernel);
    let i = 0;
    for (let o = 0; o < outputs; o++)
      for (let p = 0; p < n; p++)
        for (let t = 0; t < taps; t++)
          for (let k = 0; k < kernel; k++) {
            const base = index[o * taps + t]!;
            const at = p * stride + k * dilation - before;
            next[i++] = base < 0 || at < 0 || at >= size ? -1 : base * size + at;
          }
    index = next;
    outputs *= n;
    taps *= kernel;
  }
  return { index, outputs, taps };
}
