// What the checks of all kernels share: the plan, what is known so far of each value, and the words for what is wrong.
import { malformed } from "./fields.ts";
import { imageView, physicalDims, storedElements } from "./layout.ts";
import type { Plan, PlanTensor, PlanValue, Step } from "./types.ts";

export type Interval = readonly [lo: number, hi: number];

export function union(a: Interval, b: Interval): Interval {
  return [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
}

/**
 * What one sample may cost: far above any network, and small enough that a hostile plan ends. `moved` counts elements written, taps
 * of pools and elements of tensors read, which bounds the time of the checks and of packing as well.
 */
type Work = "multiplications" | "moved";
const mostWork: Readonly<Record<Work, number>> = { multiplications: 2 ** 40, moved: 2 ** 32 };
/** Moved elements that a kernel call costs, at least: so the list of calls stays below 2²⁵. */
const callCost = 128;

interface TensorTypes {
  readonly int8: Int8Array;
  readonly uint8: Uint8Array;
  readonly int32: Int32Array;
  readonly uint32: Uint32Array;
}
const types = { int8: Int8Array, uint8: Uint8Array, int32: Int32Array, uint32: Uint32Array } as const;

/** How far a value has been written before the step at hand. */
export interface Written {
  range: Interval;
  /** Every element outside the padding lanes has a value. */
  complete: boolean;
  /** One bit per stored element that a copy wrote, and how many of them are not padding; absent where another kernel wrote all. */
  copied?: { readonly bits: Uint32Array; count: number } | undefined;
}

export class Context {
  readonly plan: Plan;
  readonly written: (Written | undefined)[];
  private readonly spent = { multiplications: 0, moved: 0 };
  index = -1;

  constructor(plan: Plan) {
    this.plan = plan;
    this.written = plan.values.map(() => undefined);
    for (const input of plan.inputs) this.written[input] = { range: [-128, 127], complete: true };
  }

  get step(): Step {
    return this.plan.steps[this.index]!;
  }

  /** "plan step 3 (conv 'layer1.0.conv1')" */
  get place(): string {
    const { kernel, nodes } = this.step;
    return `plan step ${this.index} (${nodes.length > 0 ? `${kernel} '${nodes.join("', '")}'` : kernel})`;
  }

  require(condition: boolean, found: () => string, expected: string, hint?: string): asserts condition {
    if (!condition) throw malformed(this.place, found(), expected, hint);
  }

  value(index: number): PlanValue {
    const value = this.plan.values[index];
    this.require(value !== undefined, () => `value ${index}`, `one of the ${this.plan.values.length} values`);
    return value;
  }

  /** A value that this step reads: written before, whole. */
  read(index: number, ...admitted: readonly PlanValue["type"][]): { readonly value: PlanValue; readonly range: Interval } {
    const value = this.value(index);
    this.require(admitted.includes(value.type), () => `input '${value.name}' of type ${value.type}`, admitted.join(" or "));
    const written = this.written[index];
    this.require(written !== undefined, () => `input '${value.name}'`, "a value written by an earlier step or an input of the plan");
    this.require(written.complete, () => `input '${value.name}' with elements that no step has written`, "a value written whole");
    return { value, range: written.range };
  }

  output(type: PlanValue["type"]): PlanValue {
    const value = this.value(this.step.output);
    this.require(value.type === type, () => `output '${value.name}' of type ${value.type}`, type);
    return value;
  }

  tensor<T extends keyof TensorTypes>(name: string, type: T, length: number): TensorTypes[T] {
    const tensor: PlanTensor | undefined = this.plan.tensors.get(name);
    this.require(tensor !== undefined, () => `no tensor '${name}'`, `${type}[${length}]`);
    this.require(
      tensor instanceof types[type] && tensor.length === length,
      () => `tensor '${name}' of type ${tensor.constructor.name}[${tensor.length}]`,
      `${types[type].name}[${length}]`,
    );
    this.spend("moved", length);
    return tensor as PlanTensor as TensorTypes[T];
  }

  ordered(lo: number, hi: number): void {
    this.require(lo <= hi, () => `a clamp from ${lo} to ${hi}`, "lo ≤ hi");
  }

  /** Both buffers have the same elements at the same places. */
  sameLayout(a: PlanValue, b: PlanValue): void {
    const [x, y] = [a, b].map((v) => `[${physicalDims(v).join(",")}] with pitch ${v.pitch}`) as [string, string];
    this.require(x === y, () => `'${a.name}' of ${x} and '${b.name}' of ${y}`, "equal extents in memory");
  }

  /** Both buffers hold the same image, whatever the number of their axes. */
  sameImage(a: PlanValue, b: PlanValue): void {
    const [x, y] = [imageView(a), imageView(b)].map((v) => `${v.height}×${v.width}×${v.channels}`) as [string, string];
    this.require(x === y, () => `'${a.name}' of ${x} and '${b.name}' of ${y}`, "equal height, width and channels");
    this.require(a.pitch === b.pitch, () => `pitches ${a.pitch} and ${b.pitch}`, "equal pitches");
  }

  spend(kind: Work, amount: number): void {
    this.spent[kind] += amount;
    this.require(
      this.spent[kind] <= mostWork[kind],
      () => `a program of more than ${mostWork[kind]} ${kind === "moved" ? "moved elements" : kind} a sample`,
      "less work",
    );
  }

  /** @param calls a bound on the kernel calls that come on top of one for some thousand elements */
  spendCalls(calls: number): void {
    this.spend("moved", calls * callCost);
  }

  /** The output is written, whole, by this step alone. */
  writes(output: PlanValue, range: Interval): void {
    const index = this.step.output;
    this.require(
      this.written[index] === undefined,
      () => `output '${output.name}'`,
      "a value that no earlier step writes and that is no input",
    );
    this.spend("moved", storedElements(output));
    this.written[index] = { range, complete: true };
  }
}
