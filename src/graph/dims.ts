// Arithmetic on sizes that may be symbolic. A Dim is a number or a monomial: an integer coefficient times symbols, "49*N".
// Symbols are sorted, so equal monomials are equal strings and `===` decides equality.

import { HalftoneError } from "../errors.ts";
import type { Dim } from "./types.ts";

/** More elements than any tensor here may have: past this, products of sizes and 32-bit addresses stop making sense. */
export const maxElements: number = 0x80000000;

interface Monomial {
  readonly coefficient: number;
  /** Sorted, with repetition: N·N is ["N", "N"]. */
  readonly symbols: readonly string[];
}

function parse(dim: Dim): Monomial {
  if (typeof dim === "number") return { coefficient: dim, symbols: [] };
  const factors = dim.split("*");
  const first = Number(factors[0]);
  return Number.isInteger(first) && factors[0] !== ""
    ? { coefficient: first, symbols: factors.slice(1) }
    : { coefficient: 1, symbols: factors };
}

function format({ coefficient, symbols }: Monomial): Dim {
  if (symbols.length === 0 || coefficient === 0) return coefficient;
  const product = symbols.toSorted().join("*");
  return coefficient === 1 ? product : `${coefficient}*${product}`;
}

/** A symbol for a size that only a run can tell: axis `axis` of the value `value`. The same place gives the same symbol. */
export function unknownDim(value: string, axis: number): Dim {
  return `${symbolOf(value)}[${axis}]`;
}

/** A legal symbol for a name of the model: no "*", and not a number. */
export function symbolOf(name: string): string {
  const clean = name.replaceAll("*", "×").trim();
  return clean === "" || Number.isInteger(Number(clean)) ? `'${clean}'` : clean;
}

/** True when the size is known before a run. */
export function isKnown(dim: Dim | undefined): dim is number {
  return typeof dim === "number";
}

/** True when every size is known. */
export function areKnown(dims: readonly (Dim | undefined)[] | undefined): dims is readonly number[] {
  return dims?.every(isKnown) ?? false;
}

/** a · b */
export function multiplyDims(a: Dim, b: Dim): Dim {
  const x = parse(a);
  const y = parse(b);
  return format({ coefficient: x.coefficient * y.coefficient, symbols: [...x.symbols, ...y.symbols] });
}

/** a / b when it is a monomial again with no remainder; undefined otherwise. Symbols stand for positive sizes, so N / N is 1. */
export function divideDims(a: Dim, b: Dim): Dim | undefined {
  const x = parse(a);
  const y = parse(b);
  const symbols = [...x.symbols];
  for (const symbol of y.symbols) {
    const at = symbols.indexOf(symbol);
    if (at < 0) return undefined;
    symbols.splice(at, 1);
  }
  const coefficient = x.coefficient / y.coefficient;
  return Number.isInteger(coefficient) ? format({ coefficient, symbols }) : undefined;
}

/** a + b when it is a monomial again ("N" + "N" is "2*N", "N" + 0 is "N"); undefined otherwise. */
export function addDims(a: Dim, b: Dim): Dim | undefined {
  if (a === 0) return b;
  if (b === 0) return a;
  const x = parse(a);
  const y = parse(b);
  if (x.symbols.join("*") !== y.symbols.join("*")) return undefined;
  return format({ coefficient: x.coefficient + y.coefficient, symbols: x.symbols });
}

/** a − b when it is a monomial again; undefined otherwise. */
export function subtractDims(a: Dim, b: Dim): Dim | undefined {
  return addDims(a, multiplyDims(b, -1));
}

/** Product of all sizes; 1 for a scalar. */
export function productOfDims(dims: readonly Dim[]): Dim {
  return dims.reduce<Dim>(multiplyDims, 1);
}

/** The size with `sizes` in the place of symbols; what they do not name stays. */
export function substituteDim(dim: Dim, sizes: ReadonlyMap<string, Dim>): Dim {
  if (typeof dim === "number") return dim;
  const { coefficient, symbols } = parse(dim);
  return symbols.reduce<Dim>((product, symbol) => multiplyDims(product, sizes.get(symbol) ?? symbol), coefficient);
}

/**
 * Number of elements of a tensor of known sizes.
 * @throws HalftoneError SHAPE_OVERFLOW at `place` for 2³¹ elements and more
 */
export function elementCount(dims: readonly number[], place: string): number {
  const count = dims.includes(0) ? 0 : dims.reduce((product, dim) => product * dim, 1);
  if (count < maxElements) return count;
  throw new HalftoneError("SHAPE_OVERFLOW", place, `sizes [${dims.join(", ")}]`, "fewer than 2^31 elements");
}
