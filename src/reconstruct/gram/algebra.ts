// Dense float64 matrices in linear memory: products, the reversed Cholesky factor, triangular solves. Every sum runs in a fixed order.
import { type FloatKernels, instantiateKernels, loadFloat } from "../../engine/kernels.ts";
import { LinearMemory } from "../../engine/memory.ts";
import { assert } from "../../errors.ts";
import type { Home } from "../parametrizations/types.ts";

/** Row-major float64, both sizes padded with zeros to multiples of 4. */
export interface Matrix {
  readonly ptr: number;
  readonly rows: number;
  readonly columns: number;
  /** Elements from row to row. */
  readonly ld: number;
}

export const padded4 = (n: number): number => Math.ceil(n / 4) * 4;

/** Columns that are factored and solved together; results do not depend on it. */
const blockSize = 64;
/** A pivot this much smaller than the largest diagonal entry counts as zero. Source: the float64 rounding of sums as long as a layer. */
const leastPivot = 1e-12;

/**
 * Workspace for the matrices of one layer.
 * Memory: 8 bytes an element; the largest layer of d inputs and o outputs takes about 3·d² + 4·d·o elements.
 */
export class Algebra {
  readonly kernels: FloatKernels;
  readonly #memory: LinearMemory;
  readonly #taken: number[] = [];

  constructor(kernels: FloatKernels) {
    this.kernels = kernels;
    this.#memory = new LinearMemory(kernels.memory, kernels.heapBase());
  }

  /** A workspace in an instance of float.wasm of its own. @throws HalftoneError WASM_UNAVAILABLE */
  static async create(module?: WebAssembly.Module): Promise<Algebra> {
    return new Algebra(await instantiateKernels(await loadFloat(module)));
  }

  /** The same memory for what learns in float32; what is taken here must be released there. */
  get home(): Home {
    const memory = this.#memory;
    return {
      kernels: this.kernels,
      get f32(): Float32Array {
        return memory.f32;
      },
      allocate: (bytes) => memory.allocate(bytes),
      release: (ptr) => memory.free(ptr),
    };
  }

  /** Zeros. @throws HalftoneError OUT_OF_MEMORY */
  matrix(rows: number, columns: number): Matrix {
    const ld = padded4(columns);
    const ptr = this.#memory.allocate(padded4(rows) * ld * 8);
    this.#taken.push(ptr);
    const made = { ptr, rows, columns, ld };
    this.view(made).fill(0);
    return made;
  }

  /** A copy of row-major values. */
  from(rows: number, columns: number, values: ArrayLike<number>): Matrix {
    assert(values.length === rows * columns, `${rows} × ${columns} values`);
    const made = this.matrix(rows, columns);
    const view = this.view(made);
    for (let r = 0, i = 0; r < rows; r++) for (let c = 0; c < columns; c++, i++) view[r * made.ld + c] = values[i]!;
    return made;
  }

  copy(m: Matrix): Matrix {
    const made = this.matrix(m.rows, m.columns);
    const to = this.view(made);
    to.set(this.view(m));
    return made;
  }

  /** All elements, padding included; ends with the next allocation. */
  view({ ptr, rows, ld }: Matrix): Float64Array {
    return new Float64Array(this.#memory.memory.buffer, ptr, padded4(rows) * ld);
  }

  /** The elements without padding. */
  read(m: Matrix): Float64Array {
    const view = this.view(m);
    const out = new Float64Array(m.rows * m.columns);
    for (let r = 0; r < m.rows; r++) out.set(view.subarray(r * m.ld, r * m.ld + m.columns), r * m.columns);
    return out;
  }

  transpose(m: Matrix): Matrix {
    const made = this.matrix(m.columns, m.rows);
    const [from, to] = [this.view(m), this.view(made)];
    for (let r = 0; r < m.rows; r++) for (let c = 0; c < m.columns; c++) to[c * made.ld + r] = from[r * m.ld + c]!;
    return made;
  }

  /** Gives the memory of all matrices back. */
  release(): void {
    for (const ptr of this.#taken.splice(0)) this.#memory.free(ptr);
  }

  /** row `to` of y += factor · row `from` of x, over `n` columns. */
  addRow(y: Matrix, to: number, x: Matrix, from: number, factor: number, n: number): void {
    this.kernels.axpy64(y.ptr + to * y.ld * 8, x.ptr + from * x.ld * 8, factor, padded4(n));
  }

  /** out[m × n] at row `outRow` += Σ over rows k of `a` from `aRow` (columns from `aColumn`) and of `b` from `bRow`. */
  addProducts(
    out: Matrix,
    outRow: number,
    a: Matrix,
    aRow: number,
    aColumn: number,
    b: Matrix,
    bRow: number,
    k: number,
    m: number,
    n: number,
  ): void {
    const from = a.ptr + (aRow * a.ld + aColumn) * 8;
    this.kernels.outer64(
      out.ptr + outRow * out.ld * 8,
      out.ld * 8,
      from,
      a.ld * 8,
      32,
      b.ptr + bRow * b.ld * 8,
      b.ld * 8,
      32,
      k,
      padded4(m),
      padded4(n),
      0,
    );
  }

  /** aᵀ · b, for matrices with the same rows. */
  product(a: Matrix, b: Matrix): Matrix {
    const out = this.matrix(a.columns, b.columns);
    this.addProducts(out, 0, a, 0, 0, b, 0, a.rows, a.columns, b.columns);
    return out;
  }

  /**
   * Rᵀ with R upper triangular and H = R Rᵀ: the Cholesky factor of the index-reversed H, reversed back. Row k of what is returned is
   * column k of R.
   *
   * @param h symmetric; overwritten by the result
   * @returns undefined where a pivot is not safely positive
   */
  factor(h: Matrix): Matrix | undefined {
    const { rows: n, ld } = h;
    let view = this.view(h);
    let largest = 0;
    for (let i = 0; i < n; i++) largest = Math.max(largest, view[i * ld + i]!);
    const negated = this.matrix(n, blockSize);
    view = this.view(h);
    const negative = this.view(negated);
    for (let end = n; end > 0; ) {
      const start = Math.max(0, Math.floor((end - 1) / blockSize) * blockSize);
      const size = end - start;
      for (let k = end; k < n; k++) for (let j = 0; j < size; j++) negative[k * negated.ld + j] = -view[k * ld + start + j]!;
      if (end < n) this.addProducts(h, start, negated, end, 0, h, end, n - end, size, end);
      for (let j = end - 1; j >= start; j--) {
        const pivot = view[j * ld + j]!;
        if (!(pivot > leastPivot * largest)) return undefined;
        const root = Math.sqrt(pivot);
        for (let i = j * ld; i < j * ld + j; i++) view[i]! /= root;
        view[j * ld + j] = root;
        view.fill(0, j * ld + j + 1, (j + 1) * ld);
        for (let i = start; i < j; i++) this.addRow(h, i, h, j, -view[j * ld + i]!, i + 1);
      }
      end = start;
    }
    return h;
  }

  /**
   * X with R Rᵀ X = Y, in place of Y.
   *
   * @param transposed Rᵀ as `factor` returns it
   * @param upright    R
   */
  solve(transposed: Matrix, upright: Matrix, y: Matrix): void {
    const n = y.rows;
    const rows = this.view(y);
    rows.forEach((value, i) => {
      rows[i] = -value;
    });
    // −R Z = Y from below, then Rᵀ X = Z from above: both collect sums of products, so one sign is turned before and after.
    const diagonal = this.view(transposed);
    const divide = (j: number): void => {
      const root = diagonal[j * transposed.ld + j]!;
      for (let i = j * y.ld; i < (j + 1) * y.ld; i++) rows[i]! /= -root;
    };
    for (let end = n; end > 0; ) {
      const start = Math.floor((end - 1) / blockSize) * blockSize;
      if (end < n) this.addProducts(y, start, transposed, end, start, y, end, n - end, end - start, y.columns);
      for (let j = end - 1; j >= start; j--) {
        divide(j);
        for (let i = start; i < j; i++) this.addRow(y, i, y, j, this.view(transposed)[j * transposed.ld + i]!, y.columns);
      }
      end = start;
    }
    rows.forEach((value, i) => {
      rows[i] = -value;
    });
    const factors = this.view(upright);
    for (let start = 0; start < n; start += blockSize) {
      const end = Math.min(n, start + blockSize);
      if (start > 0) this.addProducts(y, start, upright, 0, start, y, 0, start, end - start, y.columns);
      for (let j = start; j < end; j++) {
        divide(j);
        for (let i = j + 1; i < end; i++) this.addRow(y, i, y, j, factors[j * upright.ld + i]!, y.columns);
      }
    }
  }
}
