// Gradients of MatMul and Gemm in float.wasm: of Y = A · B, dA = dY · Bᵀ and dB = Aᵀ · dY.
import type { FloatKernels } from "../engine/kernels.ts";
import type { DeviceTensor, ForwardContext, GradientKernel } from "../engine/types.ts";
import { sumBack } from "./binary.gradient.ts";
import { noClamp } from "./conv.geometry.ts";
import { broadcastBatch, broadcastIndex, matricesOf, product, whole } from "./matmul.forward.ts";
import { packed, padded } from "./packed.ts";
import { number } from "./shape.ts";
import { sizeOf } from "./strided.ts";

type Context = ForwardContext<FloatKernels>;
type Row = GradientKernel<FloatKernels>;

/** Rows of both operands between which partial sums are kept in registers. */
const BLOCK_ROWS = 256;

/** out [m × k] = y [m × n] · Bᵀ for B [k × n] given in panels of its rows; all dense. */
function timesTransposed({ kernels }: Context, out: number, y: number, panels: number, m: number, n: number, k: number): void {
  kernels.gemm(out, k, y, n, panels, 0, m, k, n, noClamp.low, noClamp.high);
}

/** Panels of Bᵀ for B [k × n] dense. */
function packTransposed({ kernels }: Context, to: number, b: number, n: number, k: number): void {
  kernels.packPanels(to, b, 1, 0, n, 1, 1, 0, k, n);
}

/** out [p × q] = Aᵀ · B for A [m × p] and B [m × q], all dense, summed over the rows in blocks, in order. */
function transposedTimes(context: Context, out: number, a: number, b: number, m: number, p: number, q: number): void {
  const { kernels } = context;
  const length = p * padded(q);
  const sums = context.scratch(length * 4);
  kernels.fill(sums, 0, length);
  for (let first = 0; first < m; first += BLOCK_ROWS) {
    const rows = Math.min(BLOCK_ROWS, m - first);
    for (let column = 0; column < q; column += 8) {
      const second = q - column > 4 ? 16 : 0;
      const [x, y] = [a + first * p * 4, b + (first * q + column) * 4];
      kernels.outerProducts(sums + column * p * 4, x, p * 4, 0, y, q * 4, 0, second, 1, rows, p);
    }
  }
  kernels.unpackPanels(out, sums, 1, 0, p, q, 1, 0, q, 1);
}

/** A batch of products: matrix i of the result belongs to one matrix of each operand, and their gradients are summed in order of i. */
const matMul: Row = {
  op: "MatMul",
  layout: "row-major",
  reads: [{ inputs: [1] }, { inputs: [0] }],
  accepts: (_, dims) => whole(dims[0]) && whole(dims[1]),
  backward(context, node, [left, right], _, [dy], [da, db]) {
    const { kernels } = context;
    const a = matricesOf(left!.dims, "left");
    const b = matricesOf(right!.dims, "right");
    const [k, n] = [b.rows, b.columns];
    const shared = product(b.batch) === 1;
    const batch = shared ? [] : broadcastBatch(a.batch, b.batch);
    const m = shared ? product(a.batch) * a.rows : a.rows;
    const panels = n * padded(k);
    const matrices = product(b.batch);
    const from = da
      ? packed(context, node, 1, "transposed panels", matrices * panels, (ptr) => {
          for (let i = 0; i < matrices; i++) packTransposed(context, ptr + i * panels * 4, right!.ptr + i * k * n * 4, n, k);
        })
      : 0;
    const [aSize, bSize] = [m * k, k * n];
    const count = product(batch);
    const aSums = da && new Sums(context, da, aSize, count);
    const bSums = db && new Sums(context, db, bSize, count);
    for (let i = 0; i < count; i++) {
      const ai = shared ? 0 : broadcastIndex(i, batch, a.batch);
      const bi = shared ? 0 : broadcastIndex(i, batch, b.batch);
      const y = dy!.ptr + i * m * n * 4;
      if (aSums) {
        timesTransposed(context, aSums.next(ai), y, from + bi * panels * 4, m, n, k);
        aSums.add(kernels, ai);
      }
      if (bSums) {
        transposedTimes(context, bSums.next(bi), left!.ptr + ai * aSize * 4, y, m, k, n);
        bSums.add(kernels, bi);
      }
    }
  },
};

/** Matrices of a gradient, each the sum of one or more products. */
class Sums {
  readonly #to: number;
  readonly #size: number;
  /** Where products wait to be added; 0 where each matrix has one product. */
  readonly #product: number;

  constructor(context: Context, gradient: DeviceTensor, size: number, count: number) {
    this.#to = gradient.ptr;
    this.#size = size;
    const repeated = sizeOf(gradient.dims) < size * count;
    this.#product = repeated ? context.scratch(size * 4) : 0;
    if (repeated) context.kernels.fill(gradient.ptr, 0, sizeOf(gradient.dims));
  }

  /** Where the next product of matrix i goes. */
  next(i: number): number {
    return this.#product || this.#to + i * this.#size * 4;
  }

  add(kernels: FloatKernels, i: number): void {
    if (this.#product) kernels.accumulate(this.#to + i * this.#size * 4, this.#product, this.#size);
  }
}

/** Y = α·A'·B' + β·C, where A' and B' are A and B or their transposes. */
const gemm: Row = {
  op: "Gemm",
  layout: "row-major",
  reads: [{ inputs: [1] }, { inputs: [0] }, {}],
  accepts: (_, dims) => whole(dims[0]) && whole(dims[1]),
  backward(context, node, [a, b], _, [dy], [da, db, dc]) {
    const { kernels } = context;
    const [m, n] = dy!.dims as [number, number];
    const transA = number(node, "transA", 0) !== 0;
    const transB = number(node, "transB", 0) !== 0;
    const k = a!.dims[transA ? 0 : 1]!;
    const [alpha, beta] = [number(node, "alpha", 1), number(node, "beta", 1)];
    if (da) {
      const panels = packed(context, node, 1, "transposed panels", n * padded(k), (ptr) => {
        if (transB) kernels.packRows(ptr, b!.ptr, n, k, k);
        else packTransposed(context, ptr, b!.ptr, n, k);
      });
      const to = transA ? context.scratch(m * k * 4) : da.ptr;
      timesTransposed(context, to, dy!.ptr, panels, m, n, k);
      if (transA) kernels.transpose(da.ptr, to, m, k);
      if (alpha !== 1) kernels.scale(da.ptr, da.ptr, m * k, alpha);
    }
    if (db) {
      let rows = a!.ptr;
      if (transA) {
        rows = context.scratch(m * k * 4);
        kernels.transpose(rows, a!.ptr, k, m);
      }
      if (transB) transposedTimes(context, db.ptr, dy!.ptr, rows, m, n, k);
      else transposedTimes(context, db.ptr, rows, dy!.ptr, m, k, n);
      if (alpha !== 1) kernels.scale(db.ptr, db.ptr, k * n, alpha);
    }
    if (dc) {
      sumBack(context, dc, dy!);
      if (beta !== 1) kernels.scale(dc.ptr, dc.ptr, sizeOf(dc.dims), beta);
    }
  },
};

export const matrixGradients: readonly Row[] = [matMul, gemm];
