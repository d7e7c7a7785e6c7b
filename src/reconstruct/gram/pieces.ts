// A layer whose rounding takes long, in pieces: rows share their inputs and nothing else, so each piece is a layer of its own.
import { joined } from "../../data/joined.ts";
import { extended } from "./gather.ts";
import type { RoundInput, RoundResult } from "./round.ts";

/** Products that one piece should take: ten seconds or so. */
const pieceProducts = 2e11;
/** Kernels work on several rows at a time. */
const leastRows = 32;

/** One input, or several of about equally many rows: by the layer's sizes alone. Rows that have weights together stay together. */
export function piecesOf(input: RoundInput, mostProducts: number = pieceProducts): RoundInput[] {
  const { rows, columns, groups, outputWeights, method } = input;
  const products = method.start === "adaround" ? rows * columns * columns * method.iterations : 0;
  const count = Math.min(Math.ceil(products / mostProducts), Math.floor(rows / leastRows));
  if (count < 2 || groups > 1 || outputWeights) return [input];
  const start = (i: number): number => Math.floor((i * rows) / count);
  return Array.from({ length: count }, (_, i) => rowsOf(input, start(i), start(i + 1)));
}

function rowsOf(input: RoundInput, from: number, to: number): RoundInput {
  const { columns, grid, sums } = input;
  return {
    ...input,
    rows: to - from,
    weights: input.weights.slice(from * columns, to * columns),
    bias: input.bias.slice(from, to),
    grid: { ...grid, scale: grid.scale.slice(from, to), zero: grid.zero.slice(from, to) },
    sums: { inputs: sums.inputs, outputs: sums.outputs && outputRows(sums.outputs, input, from, to) },
  };
}

/** Some outputs, and the constant 1 behind them. */
function outputRows(outputs: Float64Array, { rows, columns, depthwise }: RoundInput, from: number, to: number): Float64Array {
  const ld = extended({ depthwise }, columns);
  const piece = new Float64Array(extended({ depthwise }, to - from) * ld);
  piece.set(outputs.subarray(from * ld, to * ld));
  piece.set(outputs.subarray(rows * ld, (rows + 1) * ld), (to - from) * ld);
  return piece;
}

/** The layer's result from those of its pieces, in their order. */
export function mergedResult(pieces: readonly RoundResult[]): RoundResult {
  const [only] = pieces;
  if (only && pieces.length === 1) return only;
  const sum = (of: (piece: RoundResult) => number): number => pieces.reduce((total, piece) => total + of(piece), 0);
  const [signal, norm] = [sum((piece) => piece.signal), sum((piece) => piece.norm)];
  const mean = (of: (piece: RoundResult) => number, weight: "signal" | "norm", total: number): number =>
    total > 0 ? sum((piece) => of(piece) * piece[weight]) / total : 0;
  return {
    levels: joined(
      pieces.map((piece) => piece.levels),
      Float64Array,
    ),
    bias: joined(
      pieces.map((piece) => piece.bias),
      Float64Array,
    ),
    before: mean(({ before }) => before, "signal", signal),
    after: mean(({ after }) => after, "signal", signal),
    moved: sum(({ moved }) => moved),
    damping: Math.max(...pieces.map(({ damping }) => damping)),
    drift: Math.sqrt(mean(({ drift }) => drift * drift, "norm", norm)),
    signal,
    norm,
  };
}
