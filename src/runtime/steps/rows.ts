// Rows of codes times weights as a matrix, by what is known of the codes and the weights. All forms give the same bits.
import type { Address } from "../program.ts";
import { bits } from "./bits.ts";
import type { Layer } from "./conv.ts";
import { widened } from "./widened.ts";

export interface RowShape {
  /** Codes of a tap, padding lanes included, and of a row: taps one behind the other. */
  readonly tap: number;
  readonly inner: number;
  /** At most so many rows at a time: one, or a multiple of mostTile. */
  readonly rows: number;
  /** Bytes between panels of accumulators, for all of them. */
  readonly panelPitch: number;
}

export interface RowProducts {
  /** @param from int8[rows][pitch], up to 15 bytes further are read */
  begin(from: Address, pitch: number, rows: number): void;
  /** Writes int32[p1 − p0][rows][8]. */
  panels(rows: number, p0: number, p1: number, acc: Address): void;
}

/** No form makes more rows at once: room for them is kept behind the last. */
export const mostTile = 8;

/** The products of a layer of direct sums. */
export function rowProducts(layer: Layer, shape: RowShape): RowProducts {
  return countsBits(layer) ? bits(layer, layer.coded!, shape) : widened(layer, shape);
}

/** Codes and weights of two values each: three times as fast as direct sums of int8, as fast as Winograd's at an eighth of the memory. */
export const countsBits = ({ coded, range: [least, most] }: Pick<Layer, "coded" | "range">): boolean =>
  coded?.levels.length === 2 && most - least <= 1;
