// Rounding by element-wise division: Ŵ = s₁ · c, c = clip(rne(W / (s₁ · D)), lo, hi), D = S₂ ⊙ s₃ ⊙ s₄, each factor the exponential of what is
// learned. The forward pass is always the deployable weight: nothing is left to harden.
// Source: Lee et al. 2023, "FlexRound: Learnable Rounding based on Element-wise Division for Post-Training Quantization", equations 1–4,
// in the log space of its released code.
import { roundHalfEven } from "../../formats/rounding.ts";
import { exp, log } from "../../ops/math.ts";
import { Arrays, type Hardened, type Parametrization } from "./types.ts";

/** What one element gives: its code minus zero point, and the gradients that g = ∂L/∂Ŵ has through it. */
export interface Divided {
  readonly level: number;
  /** ∂L/∂ln s₁ */
  readonly step: number;
  /** E = ∂L/∂ln S₂ = ∂L/∂ln s₃ = ∂L/∂ln s₄ before their sums */
  readonly factor: number;
}

/** The plain meaning of the kernels: rounding passed straight through, the code range inclusive. */
export function divideElement(w: number, g: number, s1: number, divisor: number, lo: number, hi: number): Divided {
  const u = w / (s1 * divisor);
  const r = roundHalfEven(u);
  const inside = r >= lo && r <= hi ? 1 : 0;
  const level = Math.min(hi, Math.max(lo, r));
  return { level, step: g * s1 * (level - inside * u), factor: -g * inside * u * s1 };
}

/** Learned logarithms: δ₁ a row (or one), δ₂ an element, δ₃ a row, δ₄ an input channel. */
export const division: Parametrization = {
  start(home, grid) {
    const { rows, columns, values, taps, perTensor } = grid;
    const n = values.length;
    const channels = columns / taps;
    const arrays = new Arrays(home);
    const steps = perTensor ? 1 : rows;
    const learned = {
      d1: arrays.put(Float32Array.from({ length: steps }, (_, r) => log(grid.scale[r]!))),
      d2: arrays.zeros(n),
      d3: arrays.zeros(rows),
      d4: arrays.zeros(channels),
    };
    const sizes = { d1: steps, d2: n, d3: rows, d4: channels };
    // A matrix has no factor s₄; a depthwise convolution has one input channel a group, where it would only repeat s₁.
    const names = (grid.convolution && channels > 1 ? ["d1", "d2", "d3", "d4"] : ["d1", "d2", "d3"]) as readonly (keyof typeof learned)[];
    const slots = (): Record<keyof typeof learned, number> => ({
      d1: arrays.zeros(Math.max(steps, rows)),
      d2: arrays.zeros(n),
      d3: arrays.zeros(rows),
      d4: arrays.zeros(channels),
    });
    const [gradients, m, v] = [slots(), slots(), slots()];
    const [real, low, high] = [values, grid.low, grid.high].map((each) => arrays.put(each)) as [number, number, number];
    const [u, row, scale, column, columnSums] = [
      arrays.zeros(n),
      arrays.zeros(rows),
      arrays.zeros(rows),
      arrays.zeros(columns),
      arrays.zeros(columns),
    ];

    const scales = (): Float32Array => {
      const d1 = arrays.view(learned.d1, steps);
      return Float32Array.from({ length: rows }, (_, r) => exp(d1[perTensor ? 0 : r]!));
    };
    const spread = (): void => {
      const s1 = scales();
      arrays.view(scale, rows).set(s1);
      const [d1, d3, d4] = [arrays.view(learned.d1, steps), arrays.view(learned.d3, rows), arrays.view(learned.d4, channels)];
      arrays.view(row, rows).set(Float32Array.from({ length: rows }, (_, r) => d1[perTensor ? 0 : r]! + d3[r]!));
      arrays.view(column, columns).set(Float32Array.from({ length: columns }, (_, c) => d4[Math.floor(c / taps)]!));
    };
    return {
      write(ptr) {
        spread();
        home.kernels.divisionWeights(ptr, u, real, learned.d2, rows, columns, row, column, scale, low, high);
      },
      step(gradient, { numbers: { size, root, floor } }) {
        arrays.view(columnSums, columns).fill(0);
        const { d1, d2, d3, d4 } = gradients;
        home.kernels.divisionGradient(d2, gradient, u, rows, columns, scale, low, high, d1, d3, columnSums);
        if (perTensor) arrays.view(d1, 1)[0] = arrays.view(d1, rows).reduce((sum, each) => sum + each, 0);
        const sums = arrays.view(columnSums, columns);
        const byChannel = new Float32Array(channels);
        for (let c = 0; c < columns; c++) byChannel[Math.floor(c / taps)]! += sums[c]!;
        arrays.view(d4, channels).set(byChannel);
        for (const name of names) home.kernels.adamStep(learned[name], gradients[name], m[name], v[name], sizes[name], size, root, floor);
      },
      undecided: () => 0,
      harden(): Hardened {
        spread();
        const out = arrays.zeros(n);
        home.kernels.divisionWeights(out, u, real, learned.d2, rows, columns, row, column, scale, low, high);
        const quotients = arrays.view(u, n);
        const codes = new Int8Array(n);
        for (let i = 0; i < n; i++) {
          const r = Math.floor(i / columns);
          codes[i] = Math.min(grid.high[r]!, Math.max(grid.low[r]!, roundHalfEven(quotients[i]!))) + grid.zero[r]!;
        }
        return { codes, scale: scales() };
      },
      release: () => arrays.release(),
    };
  },
};
