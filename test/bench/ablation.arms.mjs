// What an ablation compares, and how it decides: one cell at a time around a default row, the same seeds for every arm.
// Source of the choices: Yvinec et al. 2023, "Gradient-Based Post-Training Quantization: Challenging the Status Quo".

/** One row an arm: a column and what is put into it. `scaled`: its gradients have another size, so that its rate is chosen first. */
export const arms = [
  ...["sigmoid", "clippedLine", "tanh", "cosine"].map((relaxation) => ({ column: "relaxation", learning: { relaxation }, scaled: true })),
  ...["mse", "nmse", "mae", "huber", "cosine", "output-kl", "lp"].map((loss) => ({ column: "loss", learning: { loss }, scaled: true })),
  ...["quadratic", "none"].map((regularizer) => ({ column: "regularizer", learning: { regularizer } })),
  ...["radam", "adamax", "lion", "sgd"].map((optimizer) => ({ column: "optimizer", learning: { optimizer }, scaled: true })),
  { column: "warmStart", learning: { warmStart: "gptq" } },
  ...[8, 16, 64].map((batch) => ({ column: "batch", learning: { batch } })),
  { column: "augment", learning: { augment: "noise" } },
  { column: "augment", learning: { augment: "move" } },
  { column: "drop", learning: { drop: 0 } },
  ...[64, 256].map((samples) => ({ column: "samples", data: { samples } })),
  ...["random", "balanced"].map((draw) => ({ column: "draw", data: { draw } })),
  { column: "draw", data: { draw: "balanced", samples: 64 } },
  ...["layer", "stage"].map((scope) => ({ column: "scope", learning: { scope } })),
  ...["fisher", "prediction"].map((objective) => ({ column: "objective", learning: { objective } })),
  { column: "compared", learning: { compared: "before" } },
  ...[0.3, 0.5, 0.8].map((weightSubset) => ({ column: "weightSubset", learning: { weightSubset } })),
  { column: "displacement", learning: { displacement: 1 } },
  { column: "course", learning: { course: "cosine" } },
];

export const nameOf = ({ column, learning, data = {} }) =>
  [column, (learning ?? data)[column], column === "draw" && data.samples ? `of ${data.samples}` : ""].join(" ").trim();

/** Two-sided 95 % points of Student's t, by degrees of freedom from 1. */
const t95 = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.306, 2.2622, 2.2281, 2.201, 2.1788, 2.1604, 2.1448, 2.1314];

/** Paired differences: mean, standard deviation, 95 % interval, and the exact p of all sign flips. */
export function paired(differences) {
  const n = differences.length;
  const mean = differences.reduce((a, b) => a + b, 0) / n;
  const sd = Math.sqrt(differences.reduce((a, b) => a + (b - mean) ** 2, 0) / Math.max(1, n - 1));
  const reach = n > 1 ? ((t95[n - 2] ?? 1.96) * sd) / Math.sqrt(n) : Number.POSITIVE_INFINITY;
  let extreme = 0;
  for (let signs = 0; signs < 2 ** n; signs++) {
    const flipped = differences.reduce((sum, d, i) => sum + (signs & (1 << i) ? -d : d), 0) / n;
    if (Math.abs(flipped) >= Math.abs(mean) - 1e-12) extreme++;
  }
  return { n, mean, sd, interval: [mean - reach, mean + reach], p: extreme / 2 ** n };
}

/** Holm's adjustment of p values. */
export function holm(ps) {
  const order = ps.map((p, i) => [p, i]).toSorted((a, b) => a[0] - b[0]);
  const adjusted = new Array(ps.length);
  let most = 0;
  order.forEach(([p, i], rank) => {
    most = Math.max(most, Math.min(1, p * (ps.length - rank)));
    adjusted[i] = most;
  });
  return adjusted;
}

/** matters: p below 0.05 and more than 0.1 point; robust: the interval within ±0.3 point; else undecided. */
export function verdict({ mean, interval }, p) {
  if (p < 0.05 && Math.abs(mean) > 0.1) return "matters";
  return interval[0] > -0.3 && interval[1] < 0.3 ? "robust" : "undecided";
}

/** Rates that an arm with gradients of another size is given a chance with, as multiples of the default, on a seed of its own. */
const rateFactors = [1 / 3, 1, 3];
const rateSeed = 100;

/**
 * Runs the default row and every arm on the same seeds, and compares.
 *
 * @param run      ({ learning, data, seed }) → { metric, … }: more is better; a row of the CSV
 * @param defaults cells of the default row
 * @param onRow    called with each run
 */
export async function ablate({ run, defaults, chosen, seeds, onRow = () => {} }) {
  const measure = async (name, learning, data) => {
    const rows = [];
    for (let seed = 0; seed < seeds; seed++) {
      const row = { arm: name, seed, ...(await run({ learning, data, seed })) };
      onRow(row);
      rows.push(row);
    }
    return rows;
  };
  const base = await measure("default", defaults);
  const results = [];
  for (const arm of chosen) {
    let learning = { ...defaults, ...arm.learning };
    if (arm.scaled) {
      let best = Number.NEGATIVE_INFINITY;
      for (const factor of rateFactors) {
        const rate = defaults.rate * factor;
        const { metric } = await run({ learning: { ...learning, rate }, data: arm.data, seed: rateSeed });
        if (metric > best) [best, learning] = [metric, { ...learning, rate }];
      }
    }
    const rows = await measure(nameOf(arm), learning, arm.data);
    results.push({ name: nameOf(arm), rate: learning.rate, ...paired(rows.map(({ metric }, i) => metric - base[i].metric)) });
  }
  const adjusted = holm(results.map(({ p }) => p));
  return results.map((result, i) => ({ ...result, adjusted: adjusted[i], verdict: verdict(result, adjusted[i]) }));
}
