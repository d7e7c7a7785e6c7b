// Products of two activations and normalized rows.
import { checkRequantization } from "./check-conv.ts";
import type { Context } from "./context.ts";
import { channelsOf, logicalElements } from "./layout.ts";
import type { LayernormStep, MatmulStep } from "./types.ts";

export function checkMatmul(context: Context, step: MatmulStep): void {
  const [a, b] = step.inputs.map((index) => context.read(index, "int8")) as [ReturnType<Context["read"]>, ReturnType<Context["read"]>];
  const output = context.output("int8");
  const [x, y] = [a.value.dims, b.value.dims];
  const [m, k, n] = [x.at(-2), x.at(-1), y.at(-1)];
  const expected = x.length >= 2 ? [...x.slice(0, -2), k, n] : undefined;
  context.require(
    y.length === x.length && expected?.join() === y.join(),
    () => `factors of [${x.join(",")}] and [${y.join(",")}]`,
    "matrices of equal inner extents, and as many",
  );
  const product = [...x.slice(0, -2), m, n];
  context.require(
    output.dims.join() === product.join() && output.order.every((axis, i) => axis === i),
    () => `an output of [${output.dims.join(",")}] in order [${output.order.join(",")}]`,
    `[${product.join(",")}] as it is`,
  );
  const ends = [a, b].map(({ value, range }) => [range[0] - value.zeroPoint, range[1] - value.zeroPoint]) as [number[], number[]];
  const products = ends[0].flatMap((p) => ends[1].map((q) => p * q));
  const [least, most] = [Math.min(...products) * k!, Math.max(...products) * k!];
  const [lo, hi] = step.accumulator;
  context.require(
    lo <= least && most <= hi,
    () => `an accumulator interval [${lo}, ${hi}]`,
    `one that holds [${least}, ${most}], which the factors' codes can reach`,
    "The plan's proof that no sum overflows is wrong: lower the model again.",
  );
  const matrices = logicalElements(output) / (m! * n!);
  context.spend("multiplications", logicalElements(output) * k!);
  // Both factors are packed, a slice of rows at a time.
  context.spend("moved", logicalElements(a.value) + logicalElements(b.value));
  context.spendCalls(matrices * (4 + Math.ceil(m! / 8)));
  const bounds = { least: new Float64Array(n!).fill(least), most: new Float64Array(n!).fill(most) };
  context.writes(output, checkRequantization(context, step.requantization, n!, bounds.least, bounds.most));
}

/** Elements of a row that is normalized: beyond, V · 2¹⁶ leaves 62 bits. */
export const longestRow = 16_384;

export function checkLayernorm(context: Context, step: LayernormStep): void {
  const { value: input } = context.read(step.input, "int8");
  const output = context.output("int8");
  context.sameLayout(input, output);
  const n = channelsOf(input);
  context.require(n <= longestRow, () => `rows of ${n} elements`, `at most ${longestRow}`);
  context.tensor(step.gamma, "int32", n);
  const beta = context.tensor(step.beta, "int32", 2 * n);
  // |z| < 2²² and |γ| ≤ 2³¹, so that β below 2⁶⁰ keeps the sum in 62 bits.
  const high = 2 ** 28;
  for (let i = 0; i < n; i++) {
    const word = beta[2 * i + 1]!;
    context.require(word >= -high && word < high, () => `a beta of ${word} · 2³² at ${i}`, "less than 2⁶⁰");
  }
  context.ordered(step.lo, step.hi);
  context.writes(output, [step.lo, step.hi]);
}
