// Strided copies: every element read and written lies in its buffer, none is written twice, and padding is never taken for an element.
import type { Context, Interval, Written } from "./context.ts";
import { union } from "./context.ts";
import { channelsOf, logicalElements, storedElements } from "./layout.ts";
import type { ConstantStep, CopyStep, PlanValue } from "./types.ts";

function checkReach(
  context: Context,
  what: string,
  value: PlanValue,
  dims: readonly number[],
  strides: readonly number[],
  offset: number,
): void {
  let [least, greatest] = [offset, offset];
  for (const [i, extent] of dims.entries()) {
    const far = (extent - 1) * strides[i]!;
    if (far < 0) least += far;
    else greatest += far;
  }
  const size = storedElements(value);
  context.require(
    least >= 0 && greatest < size,
    () => `${what} of elements ${least} to ${greatest} of '${value.name}'`,
    `0 to ${size - 1}`,
  );
}

/** Calls `visit` with each pair of element indices, in the order of the copy. */
export function eachCopied(step: CopyStep, visit: (from: number, to: number) => void): void {
  const { dims, inStrides, outStrides } = step;
  const inner = dims.at(-1) ?? 1;
  const [inStep, outStep] = [inStrides.at(-1) ?? 0, outStrides.at(-1) ?? 0];
  const index = dims.slice(0, -1).map(() => 0);
  let [from, to] = [step.inOffset, step.outOffset];
  for (;;) {
    for (let i = 0; i < inner; i++) visit(from + i * inStep, to + i * outStep);
    let axis = index.length - 1;
    for (; axis >= 0; axis--) {
      from += inStrides[axis]!;
      to += outStrides[axis]!;
      if (++index[axis]! < dims[axis]!) break;
      from -= inStrides[axis]! * dims[axis]!;
      to -= outStrides[axis]! * dims[axis]!;
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}

/** Marks what the copy writes; says whether every element outside the padding has been copied by now. */
function mark(context: Context, step: CopyStep, input: PlanValue, output: PlanValue, copied: Required<Written>["copied"]): boolean {
  const { bits } = copied!;
  const [inPitch, outPitch] = [input.pitch, output.pitch];
  const [inChannels, outChannels] = [channelsOf(input), channelsOf(output)];
  eachCopied(step, (from, to) => {
    const bit = 1 << (to & 31);
    if ((bits[to >>> 5]! & bit) !== 0)
      context.require(false, () => `element ${to} of '${output.name}' copied twice`, "one copy for each element");
    bits[to >>> 5]! |= bit;
    if (to % outPitch >= outChannels) return;
    copied!.count++;
    if (from % inPitch >= inChannels)
      context.require(false, () => `padding of '${input.name}' copied to element ${to} of '${output.name}'`, "an element");
  });
  return copied!.count === logicalElements(output);
}

const rangeOf = (codes: Int8Array): Interval => codes.reduce((range: Interval, code) => union(range, [code, code]), [codes[0]!, codes[0]!]);

/** The codes of the fill, if there is one. */
function fillOf(context: Context, { fill, fills }: CopyStep, output: PlanValue): Interval | undefined {
  context.require(fill === undefined || output.type === "int32" || (fill >= -128 && fill <= 127), () => `fill ${fill}`, "an int8 code");
  if (fills === undefined) return fill === undefined ? undefined : [fill, fill];
  context.require(fill === undefined && output.type === "int8", () => "fills beside a fill or of int32", "one of both, fills for int8");
  const codes = context.tensor(fills, "int8", channelsOf(output));
  return rangeOf(codes);
}

export function checkCopy(context: Context, step: CopyStep): void {
  const { value: input, range } = context.read(step.input, "int8", "int32");
  const output = context.output(input.type);
  context.require(step.input !== step.output, () => `a copy of '${input.name}' to itself`, "another output");
  const { dims, inStrides, outStrides } = step;
  context.require(
    dims.length === inStrides.length && dims.length === outStrides.length,
    () => `${dims.length} dims with ${inStrides.length} and ${outStrides.length} strides`,
    "one stride of input and output for each",
  );
  checkReach(context, "a read", input, dims, inStrides, step.inOffset);
  checkReach(context, "a write", output, dims, outStrides, step.outOffset);
  const filled = fillOf(context, step, output);

  const count = dims.reduce((product, extent) => product * extent, 1);
  const size = storedElements(output);
  context.require(count <= size, () => `${count} elements copied`, `at most the ${size} of '${output.name}'`);
  // The kernel loops over four axes; each index of the others is a call of its own.
  const outer = dims.filter((extent) => extent > 1).slice(0, -4);
  context.spendCalls(outer.reduce((product, extent) => product * extent, 1));

  const before = context.written[step.output];
  context.require(
    before === undefined || before.copied !== undefined,
    () => `output '${output.name}'`,
    "a value that only copies write and that is no input",
  );
  // Several copies may write one output (a concatenation); a fill starts it anew.
  const fresh = before === undefined || filled !== undefined;
  context.spend("moved", count + (fresh ? size : 0));
  const copied = fresh ? { bits: new Uint32Array(Math.ceil(size / 32)), count: 0 } : before.copied!;
  const others: Interval = filled ?? (fresh ? range : before.range);
  const whole = mark(context, step, input, output, copied);
  const complete = whole || filled !== undefined || (before?.complete ?? false);
  context.written[step.output] = { range: union(range, others), complete, copied };
}

export function checkConstant(context: Context, step: ConstantStep): void {
  const output = context.output("int8");
  const codes = context.tensor(step.data, "int8", logicalElements(output));
  context.writes(output, rangeOf(codes));
}
