import { expect, test } from "vitest";
import { Algebra, padded4 } from "../../../src/reconstruct/gram/algebra.ts";
import { type RoundInput, roundLayer } from "../../../src/reconstruct/gram/round.ts";
import { random } from "../../graph/build.ts";

/** A layer whose inputs have unequal power. */
function layer(rows: number, columns: number): RoundInput {
  const next = random(7);
  const ld = padded4(columns + 1);
  const samples = Array.from({ length: 2 * columns }, () => {
    const common = next();
    return [...Array.from({ length: columns }, (_, c) => 4 * (common + next() * (1 + (c % 5)))), 1];
  });
  const inputs = new Float64Array(ld * ld);
  for (let i = 0; i <= columns; i++)
    for (let j = i; j <= columns; j++) inputs[i * ld + j] = samples.reduce((sum, x) => sum + x[i]! * x[j]!, 0);
  return {
    weights: Float64Array.from({ length: rows * columns }, () => Math.fround(next())),
    groups: 1,
    rows,
    columns,
    depthwise: false,
    grid: { levels: { lo: 0, hi: 15 }, scale: new Float64Array(rows).fill(Math.fround(0.14)), zero: new Float64Array(rows).fill(8) },
    sums: { inputs },
    unit: 1,
    bias: new Float64Array(rows),
    free: true,
    method: { start: "gptq", order: "activation", sweeps: 20, damping: 0.01, iterations: 0, rate: 0, lambda: 0 },
  };
}

test("a layer's codes do not depend on what its workspace was used for before", async () => {
  const used = await Algebra.create();
  used.matrix(1024, 1024);
  used.release();
  for (let columns = 16; columns <= 112; columns += 16) {
    const input = layer(16, columns);
    const fresh = await roundLayer(await Algebra.create(), input);
    expect(fresh.moved).toBeGreaterThan(0);
    expect(await roundLayer(used, input)).toEqual(fresh);
  }
});
