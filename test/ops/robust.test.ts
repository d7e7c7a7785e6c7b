import fc from "fast-check";
import { expect, test } from "vitest";
import { HalftoneError } from "../../src/errors.ts";
import { allocate, isBig } from "../../src/graph/tensors.ts";
import type { Attribute, DType, Tensor } from "../../src/graph/types.ts";
import { operators } from "../../src/ops/registry.ts";
import { nodeOf } from "./run.ts";

// Whatever a file says, an operator answers or refuses by name; what inference accepts, the reference can do in the inferred sizes.

const dtype = fc.constantFrom<DType>("float32", "float32", "float32", "int64", "int64", "int32", "uint8", "bool", "float16");

const tensorOf = (type: fc.Arbitrary<DType>): fc.Arbitrary<Tensor> =>
  fc
    .tuple(
      type,
      fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
      fc.array(fc.integer({ min: -3, max: 4 }), { minLength: 1, maxLength: 8 }),
    )
    .map(([type, dims, values]) => {
      const data = allocate(
        type,
        dims.reduce((a, b) => a * b, 1),
      );
      for (let i = 0; i < data.length; i++) {
        const value = type === "bool" ? values[i % values.length]! & 1 : values[i % values.length]!;
        if (isBig(data)) data[i] = BigInt(value);
        else data[i] = value;
      }
      return { dtype: type, dims, data };
    });

const whole = fc.integer({ min: -2, max: 3 });
const wholes = fc.array(whole, { maxLength: 4 });
const attribute: Record<string, fc.Arbitrary<Attribute>> = {
  axis: whole,
  keepdims: whole,
  group: whole,
  kernel_shape: wholes,
  strides: wholes,
  dilations: wholes,
  pads: wholes,
  output_padding: wholes,
  output_shape: wholes,
  perm: wholes,
  axes: wholes,
  blocksize: whole,
  block_size: whole,
  num_groups: whole,
  num_outputs: whole,
  ceil_mode: whole,
  to: fc.integer({ min: 0, max: 27 }),
  auto_pad: fc.constantFrom("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET", "WHAT"),
  mode: fc.constantFrom("linear", "nearest", "edge", "wrap", "reflect", "constant", "CRD", "cubic"),
  alpha: fc.float(),
  transA: whole,
  value: tensorOf(dtype),
  start: whole,
  storage_order: whole,
  count_include_pad: whole,
};

const attributes = fc
  .subarray(Object.keys(attribute), { maxLength: 5 })
  .chain((keys) => fc.record(Object.fromEntries(keys.map((key) => [key, attribute[key]!])))) as fc.Arbitrary<Record<string, Attribute>>;

/** Mostly one element type, and sizes or axes where a second input may be such; absent inputs now and then. */
const problem = (
  least: number,
  most: number,
): fc.Arbitrary<{ inputs: (Tensor | undefined)[]; attributes: Record<string, Attribute>; outputs: number }> =>
  dtype.chain((common) => {
    const one = fc.oneof({ weight: 3, arbitrary: tensorOf(fc.constant(common)) }, { weight: 2, arbitrary: tensorOf(dtype) });
    return fc.record({
      inputs: fc.array(fc.option(one, { nil: undefined, freq: 12 }), { minLength: least, maxLength: Math.min(most, least + 3) }),
      attributes,
      outputs: fc.integer({ min: 1, max: 2 }),
    });
  });

test.for([...operators.values()])("$op answers or refuses", (operator) => {
  fc.assert(
    fc.property(problem(...operator.arity), ({ inputs, attributes: given, outputs }) => {
      const node = nodeOf(operator.op, given, inputs.length, outputs);
      try {
        operator.infer(
          node,
          inputs.map((t) => t && { dtype: t.dtype, dims: t.dims.map((_, axis) => `N${axis}`) }),
        );
        const facts = operator.infer(
          node,
          inputs.map((t) => t && { dtype: t.dtype, dims: t.dims, constant: t }),
        );
        const results = operator.reference(node, inputs);
        for (const [i, result] of results.entries()) {
          expect(result.dtype).toBe(facts[i]!.dtype);
          expect(result.dims).toEqual(facts[i]!.dims);
          expect(result.data.length).toBe(result.dims.reduce((a, b) => a * b, 1));
        }
      } catch (error) {
        if (!(error instanceof HalftoneError)) throw error;
      }
    }),
    { numRuns: 200, seed: 9 },
  );
});
