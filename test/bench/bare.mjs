// The plain product kernels: a 4×8 tile of accumulators over operands that lie packed in the first-level cache, and nothing else.
// Their rate says how busy the machine is: a comparison counts where it is near the best that the machine has shown.
import wabt from "wabt";

/** k steps of 16 bytes of a and 32 of w; 24 panels of 4 rows × 12 of 8 columns. `pairs`: 32-bit lanes hold this many products. */
const kinds = {
  int8: { pairs: 2, fma: (c, x, w) => `(i32x4.add ${c} (i32x4.dot_i16x8_s ${x} ${w}))` },
  f32: { pairs: 1, fma: (c, x, w) => `(f32x4.add ${c} (f32x4.mul ${x} ${w}))` },
};

const steps = 288;

/** Module bytes of one kind; its export `run` does `operations`. */
export async function bareKernel(kind) {
  const { pairs, fma } = kinds[kind];
  const [aBytes, wBytes] = [steps * 16, steps * 32];
  const local = (name) => `(local.get $${name})`;
  const accumulators = Array.from({ length: 8 }, (_, i) => `(local $c${i} v128)`).join(" ");
  const row = (m) => `(local.set $x (v128.load32_splat offset=${4 * m} ${local("a")}))
    ${[0, 1].map((n) => `(local.set $c${2 * m + n} ${fma(local(`c${2 * m + n}`), local("x"), local(`w${n}`))})`).join("\n")}`;
  const text = `(module (memory (export "memory") 16)
    (func $tile (param $a i32) (param $w i32) (param $end i32) (param $to i32) (local $x v128) (local $w0 v128) (local $w1 v128) ${accumulators}
      (loop $k (local.set $w0 (v128.load (local.get $w))) (local.set $w1 (v128.load offset=16 (local.get $w)))
        ${[0, 1, 2, 3].map(row).join("\n")}
        (local.set $a (i32.add (local.get $a) (i32.const 16))) (local.set $w (i32.add (local.get $w) (i32.const 32)))
        (br_if $k (i32.lt_u (local.get $w) (local.get $end))))
      ${[0, 1, 2, 3, 4, 5, 6, 7].map((i) => `(v128.store offset=${16 * i} (local.get $to) (local.get $c${i}))`).join("\n")})
    (func (export "run") (local $n i32) (local $m i32)
      (loop $panels (local.set $m (i32.const 0))
        (loop $tiles
          (call $tile (i32.mul (local.get $m) (i32.const ${aBytes}))
            (i32.add (i32.const 262144) (i32.mul (local.get $n) (i32.const ${wBytes})))
            (i32.add (i32.const ${262144 + wBytes}) (i32.mul (local.get $n) (i32.const ${wBytes})))
            (i32.add (i32.const 524288) (i32.mul (i32.add (i32.mul (local.get $n) (i32.const 48)) (local.get $m)) (i32.const 128))))
          (br_if $tiles (i32.lt_u (local.tee $m (i32.add (local.get $m) (i32.const 1))) (i32.const 48))))
        (br_if $panels (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 12))))))`;
  const { buffer } = (await wabt()).parseWat("bare.wat", text, { simd: true }).toBinary({});
  return { bytes: new Uint8Array(buffer), operations: 2 * 192 * 96 * steps * pairs };
}
