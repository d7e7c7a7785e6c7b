// Activations with more than one input.
import { isFloat } from "../graph/tensors.ts";
import { asNumbers, fill, fillIntegers, integers } from "./dtypes.ts";
import { spread } from "./arithmetic.ts";
import type { Operator } from "./operator.ts";
import { mustSpread } from "./broadcast.ts";
import { commonType, fact, mustBeOne, required } from "./shape.ts";

/** min(max(x, low), high), each bound optional: low > high gives high; NaN stays NaN. Inputs: x, low?, high? */
const clip: Operator = {
  op: "Clip",
  arity: [1, 3],
  infer(node, inputs) {
    const x = required(node, inputs, 0);
    for (const bound of inputs.slice(1)) mustBeOne(node, bound);
    return [fact(commonType(node, inputs), x.dims)];
  },
  reference(node, inputs) {
    const x = required(node, inputs, 0);
    const [low, high] = [inputs[1], inputs[2]];
    if (isFloat(x.dtype)) {
      const data = asNumbers(x);
      const [lo, hi] = [low ? asNumbers(low)[0]! : -Infinity, high ? asNumbers(high)[0]! : Infinity];
      return [fill(x.dtype, x.dims, (i) => Math.min(Math.max(data[i]!, lo), hi))];
    }
    const read = integers(x);
    const [lo, hi] = [low && integers(low)(0), high && integers(high)(0)];
    return [
      fillIntegers(x.dtype, x.dims, (i) => {
        const raised = lo !== undefined && read(i) < lo ? lo : read(i);
        return hi !== undefined && raised > hi ? hi : raised;
      }),
    ];
  },
};

/** x < 0 ? slope · x : x; the slope broadcasts to x. */
const prelu: Operator = {
  op: "PRelu",
  arity: [2, 2],
  infer(node, inputs) {
    const [x, slope] = [required(node, inputs, 0), required(node, inputs, 1)];
    mustSpread(node, slope.dims, x.dims);
    return [fact(commonType(node, inputs), x.dims)];
  },
  reference(node, inputs) {
    const [x, slope] = [required(node, inputs, 0), required(node, inputs, 1)];
    if (isFloat(x.dtype)) {
      const [data, slopes] = [asNumbers(x), asNumbers(slope)];
      const factor = spread((i) => slopes[i]!, slope.dims, x.dims);
      return [fill(x.dtype, x.dims, (i) => (data[i]! < 0 ? factor(i) * data[i]! : data[i]!))];
    }
    const read = integers(x);
    const factor = spread(integers(slope), slope.dims, x.dims);
    return [fillIntegers(x.dtype, x.dims, (i) => (read(i) < 0n ? factor(i) * read(i) : read(i)))];
  },
};

export const boundedOperators: readonly Operator[] = [clip, prelu];
