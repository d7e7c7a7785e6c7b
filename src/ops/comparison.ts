// Comparison, logic and choice, with broadcasting.
import { isFloat } from "../graph/tensors.ts";
import type { Dim, Fact, GraphNode, Tensor } from "../graph/types.ts";
import { spread, spreadContents } from "./arithmetic.ts";
import { broadcastDims } from "./broadcast.ts";
import { asNumbers, fill, integers, pick } from "./dtypes.ts";
import type { Operator } from "./operator.ts";
import { commonType, concrete, contents, fact, factOf, mismatch, required } from "./shape.ts";

interface Row {
  readonly op: string;
  /** On booleans only. */
  readonly logic?: true;
  readonly test: (a: number | bigint, b: number | bigint) => boolean;
  /** On sizes; undefined where symbols leave it open. Symbols stand for positive sizes. */
  readonly size?: (a: Dim, b: Dim) => boolean | undefined;
}

const isNegative = (d: Dim): boolean => typeof d === "number" && d < 0;

function sizesEqual(a: Dim, b: Dim): boolean | undefined {
  if (a === b) return true;
  const numbers = typeof a === "number" && typeof b === "number";
  return numbers || isNegative(a) || isNegative(b) ? false : undefined;
}

const rows: readonly Row[] = [
  { op: "Equal", test: (a, b) => a === b, size: sizesEqual },
  { op: "Less", test: (a, b) => a < b },
  { op: "LessOrEqual", test: (a, b) => a <= b },
  { op: "Greater", test: (a, b) => a > b },
  { op: "GreaterOrEqual", test: (a, b) => a >= b },
  { op: "And", logic: true, test: (a, b) => a !== 0n && b !== 0n },
  { op: "Or", logic: true, test: (a, b) => a !== 0n || b !== 0n },
  { op: "Xor", logic: true, test: (a, b) => (a !== 0n) !== (b !== 0n) },
];

/** Elements for comparison: floats as numbers, integers and bools exactly. */
function reader(x: Tensor): (i: number) => number | bigint {
  if (!isFloat(x.dtype)) return integers(x);
  const data = asNumbers(x);
  return (i) => data[i]!;
}

function pair<T>(node: GraphNode, inputs: readonly (T | undefined)[]): readonly [T, T] {
  return [required(node, inputs, 0), required(node, inputs, 1)];
}

function comparison({ op, logic, test, size }: Row): Operator {
  const infer = (node: GraphNode, inputs: readonly (Fact | undefined)[]): Fact[] => {
    const [a, b] = pair(node, inputs);
    const dtype = commonType(node, [a, b]);
    if (logic && dtype !== "bool") throw mismatch(node, `${dtype} elements`, "booleans");
    const elements =
      size &&
      spreadContents([a, b], ([x, y]) => {
        const answer = x === undefined || y === undefined ? undefined : size(x, y);
        return answer === undefined ? undefined : Number(answer);
      });
    return [fact("bool", broadcastDims(node, [a.dims, b.dims]), elements)];
  };
  return {
    op,
    arity: [2, 2],
    infer,
    reference(node, inputs) {
      const [a, b] = pair(node, inputs);
      const dims = concrete(infer(node, [factOf(a), factOf(b)]));
      const x = spread(reader(a), a.dims, dims);
      const y = spread(reader(b), b.dims, dims);
      return [fill("bool", dims, (i) => Number(test(x(i), y(i))))];
    },
  };
}

const not: Operator = {
  op: "Not",
  arity: [1, 1],
  infer(node, inputs) {
    const x = required(node, inputs, 0);
    if (x.dtype !== "bool") throw mismatch(node, `${x.dtype} elements`, "booleans");
    return [
      fact(
        "bool",
        x.dims,
        contents(x)?.map((e) => (typeof e === "number" ? 1 - e : undefined)),
      ),
    ];
  },
  reference(node, inputs) {
    const x = required(node, inputs, 0);
    return [fill("bool", x.dims, (i) => 1 - Number(x.data[i]!))];
  },
};

/** condition ? a : b */
const where: Operator = {
  op: "Where",
  arity: [3, 3],
  infer(node, inputs) {
    const [condition, a, b] = [0, 1, 2].map((i) => required(node, inputs, i)) as [Fact, Fact, Fact];
    if (condition.dtype !== "bool") throw mismatch(node, `a condition of ${condition.dtype}`, "booleans");
    commonType(node, [a, b]);
    const elements = spreadContents([condition, a, b], ([c, x, y]) => (c === undefined ? (x === y ? x : undefined) : c ? x : y));
    return [fact(a.dtype, broadcastDims(node, [condition.dims, a.dims, b.dims]), elements)];
  },
  reference(node, inputs) {
    const [condition, a, b] = [0, 1, 2].map((i) => required(node, inputs, i)) as [Tensor, Tensor, Tensor];
    const dims = concrete(where.infer(node, [condition, a, b].map(factOf)));
    const same = (i: number): number => i;
    const [c, x, y] = [condition, a, b].map((t) => spread(same, t.dims, dims)) as [typeof same, typeof same, typeof same];
    const yes = pick(a, dims, (i) => (condition.data[c(i)] ? x(i) : -1));
    const from = b.data as Float64Array;
    const data = yes.data as Float64Array;
    for (let i = 0; i < data.length; i++) if (!condition.data[c(i)]) data[i] = from[y(i)]!;
    return [yes];
  },
};

export const comparisonOperators: readonly Operator[] = [...rows.map(comparison), not, where];
