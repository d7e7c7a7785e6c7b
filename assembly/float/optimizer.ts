// Adam and its relatives on n float32 parameters. Kingma & Ba 2015, Liu et al. 2020 (RAdam).

import { storeSome } from "./lanes";

/** β₁, 1 − β₁, β₂, 1 − β₂ */
const B: usize = memory.data<f32>([0.9, 0.1, 0.999, 0.001]);

/** β · x + (1 − β) · y */
export function blend(x: v128, y: v128, beta: v128, rest: v128): v128 {
  return f32x4.add(f32x4.mul(beta, x), f32x4.mul(rest, y));
}

/** β₁, 1 − β₁, β₂, 1 − β₂ by number. */
export function beta(i: usize): v128 {
  return v128.load32_splat(B + (i << 2));
}

/** Means below 10⁻³⁰ are 0: 0.9ᵗ would end in subnormal numbers that never reach it, and arithmetic on them is slow. */
const F: usize = memory.data<f32>([1e-30, 1e-36]);

/** (m + 10⁻³⁰) − 10⁻³⁰ is 0 for means that small; squares are held at 10⁻³⁶, whose root is nothing beside ε. */
export function flush(i: usize): v128 {
  return v128.load32_splat(F + (i << 2));
}

/**
 * m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²;  p ← p − size · m / (root · √v + floor).
 * Adam: size = η / (1 − β₁ᵗ), root = 1 / √(1 − β₂ᵗ), floor = ε. RAdam is other numbers for the same three.
 *
 * @param p, g, m, v float32[n]
 */
export function adamStep(p: usize, g: usize, m: usize, v: usize, n: i32, size: f32, root: f32, floor: f32): void {
  const b0 = beta(0);
  const b1 = beta(1);
  const b2 = beta(2);
  const b3 = beta(3);
  const tiny = flush(0);
  const tinier = flush(1);
  const step = f32x4.splat(size);
  const scale = f32x4.splat(root);
  const least = f32x4.splat(floor);
  for (let left = n; left > 0; left -= 4, p += 16, g += 16, m += 16, v += 16) {
    const gradient = v128.load(g);
    const mean = f32x4.sub(f32x4.add(blend(v128.load(m), gradient, b0, b1), tiny), tiny);
    const square = f32x4.pmax(blend(v128.load(v), f32x4.mul(gradient, gradient), b2, b3), tinier);
    const change = f32x4.div(f32x4.mul(step, mean), f32x4.add(f32x4.mul(scale, f32x4.sqrt(square)), least));
    const next = f32x4.sub(v128.load(p), change);
    if (left >= 4) {
      v128.store(m, mean);
      v128.store(v, square);
      v128.store(p, next);
    } else {
      storeSome(m, mean, left);
      storeSome(v, square, left);
      storeSome(p, next, left);
    }
  }
}
