import { expect, test } from "vitest";
import { Algebra, padded4 } from "../../../src/reconstruct/gram/algebra.ts";
import { mergedResult, piecesOf } from "../../../src/reconstruct/gram/pieces.ts";
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

test("a layer in pieces has the codes and the report of the whole", async () => {
  const [rows, columns] = [101, 24];
  const plain = layer(rows, columns);
  const ld = padded4(columns + 1);
  const next = random(3);
  const outputs = Float64Array.from({ length: padded4(rows + 1) * ld }, () => 40 * next());
  // Σ (y, 1)(x̂, 1)ᵀ: the last row is that of the inputs.
  for (let j = 0; j <= columns; j++) outputs[rows * ld + j] = plain.sums.inputs[j * ld + columns]!;
  const method = { ...plain.method, start: "adaround", sweeps: 0, iterations: 50, rate: 1e-2, lambda: 0.01 } as const;
  for (const free of [true, false]) {
    const input: RoundInput = { ...plain, sums: { ...plain.sums, outputs }, bias: Float64Array.from({ length: rows }, next), free, method };
    const algebra = await Algebra.create();
    const whole = await roundLayer(algebra, input);
    const pieces = piecesOf(input, (rows * columns * columns * 50) / 3);
    expect(pieces.map((piece) => piece.rows)).toEqual([33, 34, 34]);
    const results = [];
    for (const piece of pieces) results.push(await roundLayer(algebra, piece));
    const { levels, bias, moved, damping, ...shares } = mergedResult(results);
    expect({ levels, bias, moved, damping }).toEqual({
      levels: whole.levels,
      bias: whole.bias,
      moved: whole.moved,
      damping: whole.damping,
    });
    for (const [key, value] of Object.entries(shares)) expect(Math.abs(value / whole[key as keyof typeof shares] - 1)).toBeLessThan(1e-12);
  }
  expect(piecesOf(plain)).toEqual([plain]);
  expect(piecesOf({ ...plain, method, outputWeights: new Float64Array(rows * rows) }, 1)).toHaveLength(1);
});
