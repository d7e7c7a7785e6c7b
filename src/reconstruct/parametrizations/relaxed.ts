// Rounding by any soft function h, regularizer and optimizer of the tables: Ŵ = s · clip(⌊W/s⌋ + D(V), lo, hi), D = (1 + 2R) h − R for codes
// that may move R further than up or down, hardened to the nearest.
// The plain form, for comparisons: the rectified sigmoid of AdaRound has kernels of its own (sigmoid.ts).
// Source: the choices compared by Yvinec et al. 2023, "Gradient-Based Post-Training Quantization: Challenging the Status Quo".
import { largestStep, signStep } from "../optimizers.ts";
import { regularizers, relaxations } from "../relaxations.ts";
import { hardRounding } from "./sigmoid.ts";
import { roundingStart } from "./start.ts";
import { Arrays, type Hardened, type Parametrization } from "./types.ts";

/** Soft functions that reach 0 and 1 at infinity alone start within this. */
const margin = 1e-4;
const settled = 0.01;

export const relaxed: Parametrization = {
  start(home, grid, options = {}) {
    const { rows, columns, scale, low, high } = grid;
    const n = grid.values.length;
    const soft = relaxations[options.relaxation ?? "rectifiedSigmoid"];
    const penalty = regularizers[options.regularizer ?? "power"];
    const reach = options.displacement ?? 0;
    const width = 1 + 2 * reach;
    const { base, rest, frozen } = roundingStart(grid, options);
    const arrays = new Arrays(home);
    const v = arrays.put(rest.map((each) => soft.start(Math.min(1 - margin, Math.max(margin, (each + reach) / width)))));
    const [m, q, gradient] = [arrays.zeros(n), arrays.zeros(n), arrays.zeros(n)];
    const valueAt = (i: number, x: number): number => (frozen[i] === 0 ? width * soft.value(x) - reach : frozen[i]! - 1);
    const share = (d: number): number => d - Math.min(reach, Math.floor(d));
    return {
      write(ptr) {
        const to = arrays.view(ptr, n);
        const from = arrays.view(v, n);
        for (let r = 0, i = 0; r < rows; r++) {
          for (let c = 0; c < columns; c++, i++) to[i] = scale[r]! * Math.min(high[r]!, Math.max(low[r]!, base[i]! + valueAt(i, from[i]!)));
        }
      },
      step(ptr, { numbers, lambda, exponent }) {
        const [from, g, dv] = [arrays.view(v, n), arrays.view(ptr, n), arrays.view(gradient, n)];
        for (let r = 0, i = 0; r < rows; r++) {
          for (let c = 0; c < columns; c++, i++) {
            if (frozen[i] !== 0) continue;
            const d = valueAt(i, from[i]!);
            const t = base[i]! + d;
            const pull = t >= low[r]! && t <= high[r]! ? g[i]! * scale[r]! : 0;
            dv[i] = (pull + (lambda > 0 ? lambda * penalty.slope(share(d), exponent) : 0)) * width * soft.slope(from[i]!);
          }
        }
        if (options.optimizer === "adamax") largestStep(from, dv, arrays.view(m, n), arrays.view(q, n), numbers);
        else if (options.optimizer === "lion") signStep(from, dv, arrays.view(m, n), numbers);
        else home.kernels.adamStep(v, gradient, m, q, n, numbers.size, numbers.root, numbers.floor);
      },
      undecided() {
        const from = arrays.view(v, n);
        let open = 0;
        for (let i = 0; i < n; i++) {
          const h = share(valueAt(i, from[i]!));
          if (h > settled && h < 1 - settled) open++;
        }
        return open;
      },
      harden: (): Hardened => {
        const values = Float32Array.from(arrays.view(v, n), (x, i) => valueAt(i, x));
        const lower = base.map((each, i) => each + values[i]! - share(values[i]!));
        const decided = values.map((d) => share(d) - 0.5);
        return { codes: hardRounding(grid, lower, decided), scale: grid.scale };
      },
      release: () => arrays.release(),
    };
  },
};
