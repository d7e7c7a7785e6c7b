// Places for the activations: buffers whose lives overlap get disjoint bytes, all others may share them.
// Source: Y. Pisarchyk, J. Lee, "Efficient memory management for deep neural net inference", 2020, greedy by size.

export interface Buffer {
  readonly bytes: number;
  /** Step that writes it first, −1 for inputs. */
  readonly firstStep: number;
  /** Last step that needs it; that step's output gets other bytes. */
  readonly lastStep: number;
}

export interface Arena {
  /** In bytes, one per buffer, each a multiple of 16. */
  readonly offsets: number[];
  /** In bytes, a multiple of 16. */
  readonly total: number;
}

const alignment = 16;

function aligned(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

type Order = (a: Buffer, b: Buffer) => number;

const size: Order = (a, b) => b.bytes - a.bytes || a.firstStep - b.firstStep;
const time: Order = (a, b) => a.firstStep - b.firstStep || b.bytes - a.bytes;
const duration: Order = (a, b) => b.lastStep - b.firstStep - (a.lastStep - a.firstStep) || size(a, b);
const area: Order = (a, b) => b.bytes * (b.lastStep - b.firstStep + 1) - a.bytes * (a.lastStep - a.firstStep + 1) || size(a, b);

/** No order is the best for every network, and each costs milliseconds: all are tried, the first of the smallest wins. */
const orders: readonly Order[] = [size, area, duration, time];

/** The smallest gap that holds `bytes` between the buffers placed at the same time, else the end of them; the lowest of equal ones. */
function bestFit(bytes: number, neighbours: readonly { readonly offset: number; readonly end: number }[]): number {
  let [best, slack, free] = [-1, Number.POSITIVE_INFINITY, 0];
  for (const { offset, end } of neighbours) {
    if (offset - free >= bytes && offset - free - bytes < slack) [best, slack] = [free, offset - free - bytes];
    free = Math.max(free, end);
  }
  return best >= 0 ? best : free;
}

function place(buffers: readonly Buffer[], order: Order): Arena {
  const offsets = buffers.map(() => 0);
  const placed: { readonly buffer: Buffer; readonly offset: number; readonly end: number }[] = [];
  let total = 0;
  const indices = [...buffers.keys()].sort((a, b) => order(buffers[a]!, buffers[b]!) || a - b);
  for (const index of indices) {
    const buffer = buffers[index]!;
    const bytes = aligned(buffer.bytes);
    const neighbours = placed.filter((p) => p.buffer.firstStep <= buffer.lastStep && buffer.firstStep <= p.buffer.lastStep);
    const offset = bestFit(bytes, neighbours);
    const at = placed.findIndex((p) => p.offset > offset);
    placed.splice(at < 0 ? placed.length : at, 0, { buffer, offset, end: offset + bytes });
    offsets[index] = offset;
    total = Math.max(total, offset + bytes);
  }
  return { offsets, total };
}

/** Offsets of all buffers in one arena, the same for the same buffers in the same order; quadratic in their number. */
export function planArena(buffers: readonly Buffer[]): Arena {
  let best = place(buffers, orders[0]!);
  for (const order of orders.slice(1)) {
    const other = place(buffers, order);
    if (other.total < best.total) best = other;
  }
  return best;
}
