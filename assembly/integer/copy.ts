// Strided copies: concat, slice, transpose, pad, resize by whole steps. Four axes, the caller loops over more. Strides in bytes.

/** Runs of `run` contiguous bytes. */
export function copyRuns(
  from: usize,
  to: usize,
  n0: i32,
  n1: i32,
  n2: i32,
  from0: i32,
  from1: i32,
  from2: i32,
  to0: i32,
  to1: i32,
  to2: i32,
  run: i32,
): void {
  for (let i = 0; i < n0; i++, from += from0, to += to0) {
    for (let j = 0, f1 = from, t1 = to; j < n1; j++, f1 += from1, t1 += to1) {
      for (let k = 0, f2 = f1, t2 = t1; k < n2; k++, f2 += from2, t2 += to2) {
        if (run < 64) copyShort(f2, t2, run);
        else memory.copy(t2, f2, run);
      }
    }
  }
}

/** memory.copy is a call into the engine: too dear for a few bytes. */
function copyShort(from: usize, to: usize, n: i32): void {
  const end = to + n;
  for (; to + 8 <= end; from += 8, to += 8) store<u64>(to, load<u64>(from));
  for (; to < end; from++, to++) store<u8>(to, load<u8>(from));
}

/** Single codes. */
export function copyCodes(
  from: usize,
  to: usize,
  n0: i32,
  n1: i32,
  n2: i32,
  n3: i32,
  from0: i32,
  from1: i32,
  from2: i32,
  from3: i32,
  to0: i32,
  to1: i32,
  to2: i32,
  to3: i32,
): void {
  for (let i = 0; i < n0; i++, from += from0, to += to0) {
    for (let j = 0, f1 = from, t1 = to; j < n1; j++, f1 += from1, t1 += to1) {
      for (let k = 0, f2 = f1, t2 = t1; k < n2; k++, f2 += from2, t2 += to2) {
        for (let l = 0, f3 = f2, t3 = t2; l < n3; l++, f3 += from3, t3 += to3) store<u8>(t3, load<u8>(f3));
      }
    }
  }
}

/** Single int32 elements. */
export function copyWords(
  from: usize,
  to: usize,
  n0: i32,
  n1: i32,
  n2: i32,
  n3: i32,
  from0: i32,
  from1: i32,
  from2: i32,
  from3: i32,
  to0: i32,
  to1: i32,
  to2: i32,
  to3: i32,
): void {
  for (let i = 0; i < n0; i++, from += from0, to += to0) {
    for (let j = 0, f1 = from, t1 = to; j < n1; j++, f1 += from1, t1 += to1) {
      for (let k = 0, f2 = f1, t2 = t1; k < n2; k++, f2 += from2, t2 += to2) {
        for (let l = 0, f3 = f2, t3 = t2; l < n3; l++, f3 += from3, t3 += to3) store<u32>(t3, load<u32>(f3));
      }
    }
  }
}

/** n codes of one value. */
export function fillCodes(to: usize, value: i32, n: i32): void {
  memory.fill(to, <u8>value, n);
}

/** n int32 elements of one value. */
export function fillWords(to: usize, value: i32, n: i32): void {
  for (const end = to + (n << 2); to < end; to += 4) store<i32>(to, value);
}
