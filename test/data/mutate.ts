/** Numbers in [0, n) from a seed: mulberry32, good enough to stir files. */
export function dice(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

type Roll = (n: number) => number;
type Mutation = (bytes: Uint8Array, roll: Roll) => Uint8Array;

const extremes = [0, 1, 2, 0x7f, 0x80, 0xff];

/** What happens to files: on disks, on lines, and at the hands of people with bad intent. */
const mutations: readonly Mutation[] = [
  function flipBit(bytes, roll) {
    const at = roll(bytes.length);
    bytes[at]! ^= 1 << roll(8);
    return bytes;
  },
  function setByte(bytes, roll) {
    bytes[roll(bytes.length)] = roll(256);
    return bytes;
  },
  function setWord(bytes, roll) {
    const at = roll(bytes.length);
    bytes.fill(extremes[roll(extremes.length)]!, at, at + 1 + roll(8));
    return bytes;
  },
  function truncate(bytes, roll) {
    return bytes.slice(0, roll(bytes.length));
  },
  function remove(bytes, roll) {
    const start = roll(bytes.length);
    const end = start + 1 + roll(16);
    return Uint8Array.from([...bytes.subarray(0, start), ...bytes.subarray(end)]);
  },
  function insert(bytes, roll) {
    const at = roll(bytes.length);
    return Uint8Array.from([...bytes.subarray(0, at), ...Array.from({ length: 1 + roll(16) }, () => roll(256)), ...bytes.subarray(at)]);
  },
  function repeat(bytes, roll) {
    const start = roll(bytes.length);
    const part = bytes.subarray(start, start + 1 + roll(64));
    return Uint8Array.from([...bytes.subarray(0, start), ...part, ...part, ...bytes.subarray(start)]);
  },
];

/** One to four mutations of a copy; headers, where the decisions are, are hit more often than their size deserves. */
export function mutate(original: Uint8Array, roll: Roll): Uint8Array<ArrayBuffer> {
  const early: Roll = (n) => (roll(3) === 0 ? roll(Math.min(n, 64)) : roll(n));
  let bytes = original.slice();
  for (let times = 1 + roll(4); times > 0 && bytes.length > 0; times--) bytes = mutations[roll(mutations.length)]!(bytes, early).slice();
  return bytes as Uint8Array<ArrayBuffer>;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

/** Makes the checksums of a PNG right again, so that a mutation reaches what lies behind them. */
export function repairPng(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > bytes.length) break;
    let crc = 0xffffffff;
    for (let i = at + 4; i < end; i++) crc = crcTable[(crc ^ bytes[i]!) & 255]! ^ (crc >>> 8);
    view.setUint32(end, (crc ^ 0xffffffff) >>> 0);
    at = end + 4;
  }
  return bytes;
}
