// The program as JSON: one table of fields, in the order they are written. Fields are checked here one at a time, the whole in check.ts.
import { type Field, flag, integer, list, oneOf, optional, pair, quad, real, record, text, variant } from "./fields.ts";
import type {
  AddStep,
  ConstantStep,
  ConvStep,
  CopyStep,
  Epilogue,
  Golden,
  LayernormStep,
  LookupStep,
  MatmulStep,
  MulStep,
  Plan,
  PlanValue,
  PoolStep,
  Requantization,
  SoftmaxStep,
  Step,
  WeightCodes,
  WideResidual,
} from "./types.ts";

/** A plan without its tensors and provenance: what `__metadata__.halftone` holds. */
export type Program = Omit<Plan, "tensors" | "provenance">;

/** x = (v · scale − mean) / std, after resize and crop: data/types.ts Preprocessing, as far as the border needs it. */
export interface PlanPreprocessing {
  readonly resize?: number | undefined;
  readonly crop?: readonly [number, number] | undefined;
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Enough for any network, and small enough that sums over a plan stay below 2^53. */
export const limits: Readonly<Record<"values" | "steps" | "rank" | "extent" | "labels" | "golden" | "arenaBytes", number>> = {
  values: 65_536,
  steps: 65_536,
  rank: 8,
  extent: 2 ** 30,
  labels: 2 ** 20,
  golden: 16,
  arenaBytes: 2 ** 30,
};

const largest = 3.4028234663852886e38;
const smallest = 2 ** -149;
const int32 = integer(-(2 ** 31), 2 ** 31 - 1);
const code = integer(-128, 127);
const valueIndex = integer(0, limits.values - 1);
const extent = integer(1, limits.extent);
const window = pair(integer(1, 2 ** 20));
const pads = quad(integer(0, 2 ** 20));
const shift = integer(-31, 30);
/** Total shift of a 64-bit sum: below 62 so that half of it still can be added. */
const bits = integer(1, 62);
const rounding = oneOf("even", "single");
const stride = integer(-limits.arenaBytes, limits.arenaBytes);

const value = record<PlanValue>({
  name: text,
  dims: list(extent, 0, limits.rank),
  order: list(integer(0, limits.rank - 1), 0, limits.rank),
  pitch: extent,
  type: oneOf("int8", "int32"),
  offset: integer(0, limits.arenaBytes),
  scale: list(real(smallest, largest), 1, limits.extent),
  zeroPoint: code,
});

const requantization = { multiplier: text, shift: text, rounding, zero: code, lo: code, hi: code } as const;

const epilogue = variant<"kind", Epilogue>("kind", {
  requantize: record<{ readonly kind: "requantize" } & Requantization>({ kind: oneOf("requantize"), ...requantization }),
  residual: record<{ readonly kind: "residual" } & WideResidual>({
    kind: oneOf("residual"),
    value: valueIndex,
    residualZero: code,
    multiplier: text,
    residualMultiplier: text,
    bits,
    zero: code,
    lo: code,
    hi: code,
  }),
  accumulator: record<{ readonly kind: "accumulator" }>({ kind: oneOf("accumulator") }),
});

const base = { nodes: list(text, 0, 4096), output: valueIndex } as const;
const windowed = { window, stride: window, dilation: window, pads } as const;

const pool = record<PoolStep>({
  kernel: oneOf("maxpool", "avgpool"),
  ...base,
  input: valueIndex,
  ...windowed,
  includePads: flag,
  requantization: optional(record<Requantization>(requantization)),
});

const step = variant<"kernel", Step>("kernel", {
  conv: record<ConvStep>({
    kernel: oneOf("conv"),
    ...base,
    input: valueIndex,
    ...windowed,
    groups: extent,
    weights: text,
    codes: optional(record<WeightCodes>({ bits: integer(1, 4), levels: text })),
    bias: text,
    epilogue,
    accumulator: pair(int32),
  }),
  add: record<AddStep>({
    kernel: oneOf("add"),
    ...base,
    inputs: pair(valueIndex),
    multipliers: pair(int32),
    // Fewer would need differences of codes shifted out of their 32 bits.
    bits: integer(10, 62),
    zero: code,
    lo: code,
    hi: code,
  }),
  mul: record<MulStep>({
    kernel: oneOf("mul"),
    ...base,
    inputs: pair(valueIndex),
    multiplier: integer(0, 2 ** 31 - 1),
    shift,
    zero: code,
    lo: code,
    hi: code,
  }),
  lookup: record<LookupStep>({ kernel: oneOf("lookup"), ...base, input: valueIndex, table: text, perChannel: flag }),
  maxpool: pool,
  avgpool: pool,
  copy: record<CopyStep>({
    kernel: oneOf("copy"),
    ...base,
    input: valueIndex,
    dims: list(extent, 0, limits.rank),
    inStrides: list(stride, 0, limits.rank),
    inOffset: stride,
    outStrides: list(stride, 0, limits.rank),
    outOffset: stride,
    fill: optional(int32),
    fills: optional(text),
  }),
  softmax: record<SoftmaxStep>({ kernel: oneOf("softmax"), ...base, input: valueIndex, table: text }),
  matmul: record<MatmulStep>({
    kernel: oneOf("matmul"),
    ...base,
    inputs: pair(valueIndex),
    requantization: record<Requantization>(requantization),
    accumulator: pair(int32),
  }),
  layernorm: record<LayernormStep>({
    kernel: oneOf("layernorm"),
    ...base,
    input: valueIndex,
    epsilon: integer(1, 2 ** 45 - 1),
    gamma: text,
    beta: text,
    zero: code,
    lo: code,
    hi: code,
  }),
  constant: record<ConstantStep>({ kernel: oneOf("constant"), ...base, data: text }),
});

export const preprocessing: Field<PlanPreprocessing> = record<PlanPreprocessing>({
  resize: optional(integer(1, 65_536)),
  crop: optional(pair(integer(1, 65_536))),
  scale: real(-largest, largest),
  mean: list(real(-largest, largest), 1, 65_536),
  std: list(real(smallest, largest), 1, 65_536),
});

const golden = record<Golden>({ seed: integer(0, 65_535), outputs: list(text, 1, limits.values) });

export const program: Field<Program> = record<Program>({
  version: integer(1, 2 ** 31),
  arithmetic: text,
  arenaBytes: integer(0, limits.arenaBytes),
  values: list(value, 1, limits.values),
  inputs: list(valueIndex, 1, limits.values),
  outputs: list(valueIndex, 1, limits.values),
  steps: list(step, 0, limits.steps),
  preprocessing: optional(preprocessing as Field<unknown>),
  pixels: optional(flag),
  labels: optional(list(text, 0, limits.labels)),
  golden: optional(list(golden, 1, limits.golden)),
});
