// Random numbers by counter: word i of a stream is a function of (key, i), so it does not matter who draws it, when, or how many at once.
// Twin of assembly/float/random.ts.

/** Which numbers are meant. Two words, so that a million streams of one run do not meet. */
export interface Stream {
  readonly k0: number;
  readonly k1: number;
}

/**
 * A bijection of 32 bits in which every input bit flips every output bit with probability ½ up to 0.11 of a thousandth.
 * Source: C. Wellons, "Prospecting for Hash Functions" (form xorshift–multiply, constants of T. Ettenhofer's search), public domain.
 */
function scramble(x: number): number {
  x ^= x >>> 16;
  x = Math.imul(x, 0x21f0aaad);
  x ^= x >>> 15;
  x = Math.imul(x, 0xd35a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

/** 2³²/φ and √2·2³¹: the two words start apart and take in each number of the path differently. */
const first = 0x9e3779b9;
const second = 0xb504f334;

/** The stream of a seed and a path of whole numbers below 2³²: unit, iteration, purpose … */
export function streamOf(seed: number, ...path: readonly number[]): Stream {
  let k0 = scramble((seed ^ first) >>> 0);
  let k1 = scramble((k0 ^ seed ^ second) >>> 0);
  for (const part of path) {
    k0 = scramble((Math.imul(part, first) + k0) >>> 0);
    k1 = scramble((k1 ^ Math.imul(part, second) ^ k0) >>> 0);
  }
  return { k0, k1 };
}

/** Word `index` of a stream: scramble(scramble(index + k0) ^ k1), 32 random bits. */
export function randomWord({ k0, k1 }: Stream, index: number): number {
  return scramble((scramble((index + k0) >>> 0) ^ k1) >>> 0);
}

/** A whole number below n, from word `index`. Multiplying down favours no number by more than n · 2⁻³². */
export function randomBelow(stream: Stream, index: number, n: number): number {
  return Math.floor((randomWord(stream, index) * n) / 4294967296);
}

/** The largest word that counts as a hit of probability p in (0, 1]. */
export function limitOf(p: number): number {
  return Math.max(0, Math.round(p * 4294967296) - 1);
}

/** `count` numbers below n, drawn with replacement. */
export function drawWithReplacement(stream: Stream, count: number, n: number): number[] {
  return Array.from({ length: count }, (_, i) => randomBelow(stream, i, n));
}

/** `count` different numbers below n (all of them when there are fewer), in random order: the beginning of a shuffle. */
export function drawWithoutReplacement(stream: Stream, count: number, n: number): number[] {
  const moved = new Map<number, number>();
  return Array.from({ length: Math.min(count, n) }, (_, i) => {
    const at = i + randomBelow(stream, i, n - i);
    const drawn = moved.get(at) ?? at;
    moved.set(at, moved.get(i) ?? i);
    return drawn;
  });
}
