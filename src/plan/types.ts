// The integer program. A plan runs one sample; a batch is a loop over samples, so the batch size is free at run time.
// Everything here is an integer or a name, but for the scales of inputs and outputs, which only the border uses.

/** Raised when files say what readers before could not understand. */
export const planVersion = 2;
/** Files from this version on are read. */
export const oldestVersion = 1;
/** Raised when any kernel's bits would change. */
export const arithmeticVersion = "halftone-integer/1";

export type PlanTensor = Int8Array | Uint8Array | Int32Array | Uint32Array;

/**
 * A buffer of the arena. Physical layout: axes in `order`, the last one padded to `pitch` elements
 * (images [C,H,W] have order [1,2,0]: H, W, channels last; the pitch of more than 4 channels is a multiple of 8).
 * Contents of padding lanes are unspecified; weights that meet them are 0.
 */
export interface PlanValue {
  readonly name: string;
  /** Logical, without the batch: [C,H,W], [C], [T,D]. */
  readonly dims: readonly number[];
  readonly order: readonly number[];
  readonly pitch: number;
  readonly type: "int8" | "int32";
  /** Bytes from the start of the arena, a multiple of 16. */
  readonly offset: number;
  /** int8: real = scale · (code − zeroPoint), code in [−128,127]. int32: zeroPoint 0, scale per channel (last physical axis) or one for all. */
  readonly scale: readonly number[];
  readonly zeroPoint: number;
}

/** y = zero + round((acc · multiplier[c]) · 2^(shift[c] − 31)), clamped to [lo, hi]. Names of tensors; `even` and `single` round the same where ties are excluded. */
export interface Requantization {
  readonly multiplier: string;
  readonly shift: string;
  readonly rounding: "even" | "single";
  readonly zero: number;
  readonly lo: number;
  readonly hi: number;
}

/**
 * y = zero + round_even((acc · multiplier[c] + r · residualMultiplier[c]) / 2^bits), clamped; r = code − residualZero of an int8 value,
 * or the int32 accumulator of another convolution (residualZero 0). Sums in 64 bits. specs: fused residual epilogue, one rounding.
 */
export interface WideResidual {
  readonly value: number;
  readonly residualZero: number;
  readonly multiplier: string;
  readonly residualMultiplier: string;
  readonly bits: number;
  readonly zero: number;
  readonly lo: number;
  readonly hi: number;
}

/** How accumulators leave: as codes, as codes with a residual, or as they are (int32 output). */
export type Epilogue =
  | ({ readonly kind: "requantize" } & Requantization)
  | ({ readonly kind: "residual" } & WideResidual)
  | { readonly kind: "accumulator" };

interface StepBase {
  /** Names of the graph's nodes this step stands for. */
  readonly nodes: readonly string[];
  /** Index of the value written. */
  readonly output: number;
}

/**
 * Weights of 1 to 4 bits: the step's `weights` are uint8, the bit stream of indices into `levels` int8[2^bits]; index i occupies bits
 * i·bits … (i + 1)·bits − 1, least significant first, and bits after the last are 0. Any format of so few bits is such a table.
 */
export interface WeightCodes {
  readonly bits: number;
  readonly levels: string;
}

/** Convolution, depthwise (groups = channels), and dense layers (1×1 over H = 1, W = rows). Weights [O][kh][kw][I/groups], int8 or coded. */
export interface ConvStep extends StepBase {
  readonly kernel: "conv";
  readonly input: number;
  readonly window: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  /** top, left, bottom, right; taps there hold the input's zero point */
  readonly pads: readonly [number, number, number, number];
  readonly groups: number;
  readonly weights: string;
  readonly codes?: WeightCodes | undefined;
  /** int32[O], the input's zero point folded in: b − z_x Σw */
  readonly bias: string;
  readonly epilogue: Epilogue;
  /** [lo, hi] over all channels that the accumulator (bias included) can reach, attained. */
  readonly accumulator: readonly [number, number];
}

/** y = zero + round_even(((a − za)·qa + (b − zb)·qb) / 2^bits); b may be broadcast per channel ([C] over [H,W,C]) or be one element. */
export interface AddStep extends StepBase {
  readonly kernel: "add";
  readonly inputs: readonly [number, number];
  readonly multipliers: readonly [number, number];
  readonly bits: number;
  readonly zero: number;
  readonly lo: number;
  readonly hi: number;
}

/** y = zero + round_even((a − za)(b − zb) · multiplier · 2^(shift − 31)); b as in add. */
export interface MulStep extends StepBase {
  readonly kernel: "mul";
  readonly inputs: readonly [number, number];
  readonly multiplier: number;
  readonly shift: number;
  readonly zero: number;
  readonly lo: number;
  readonly hi: number;
}

/** y = table[x + 128]; int8[256] for all, or int8[C][256] per channel. */
export interface LookupStep extends StepBase {
  readonly kernel: "lookup";
  readonly input: number;
  readonly table: string;
  readonly perChannel: boolean;
}

/** Windows of the input; taps outside are skipped. */
export interface PoolStep extends StepBase {
  readonly kernel: "maxpool" | "avgpool";
  readonly input: number;
  readonly window: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  /** avgpool: count padding as taps of value 0. */
  readonly includePads: boolean;
  /** avgpool: int32 multiplier and shift for each number of taps 1…window (index taps − 1): y = zero + round_even((Σ(c − z)) · m). maxpool: absent. */
  readonly requantization?: Requantization | undefined;
}

/** A strided copy: for every index i over `dims`, out[outOffset + Σ i·outStride] = in[inOffset + Σ i·inStride]. Elements, not bytes. `fill` is written to the whole output first when given; `fills` names int8[C], a fill for each index of the output's last physical axis. */
export interface CopyStep extends StepBase {
  readonly kernel: "copy";
  readonly input: number;
  readonly dims: readonly number[];
  readonly inStrides: readonly number[];
  readonly inOffset: number;
  readonly outStrides: readonly number[];
  readonly outOffset: number;
  readonly fill?: number | undefined;
  readonly fills?: string | undefined;
}

/** Over the last physical axis: e = table[max − x], y = ⌊(512·e + S) / 2S⌋ capped at 255, minus 128. Table uint32[256]. */
export interface SoftmaxStep extends StepBase {
  readonly kernel: "softmax";
  readonly input: number;
  readonly table: string;
}

/**
 * Matrices of codes, one for each index of the axes before the last two: y = zero + round((Σₖ (a[m,k] − za)(b[k,n] − zb)) · multiplier[n] · 2^…).
 * Logical dims […,M,K], […,K,N] and […,M,N], in any order in memory but for the output, which lies as it is.
 */
export interface MatmulStep extends StepBase {
  readonly kernel: "matmul";
  readonly inputs: readonly [number, number];
  readonly requantization: Requantization;
  /** [lo, hi] that the sum can reach, attained. */
  readonly accumulator: readonly [number, number];
}

/**
 * Over the last physical axis of n elements, with S₁ = Σ x, S₂ = Σ x² and V = n S₂ − S₁² + epsilon: z = ⌊((n x − S₁) · ⌊2⁵⁴ / ⌊√(V 2¹⁶)⌋⌋ + 2³⁰) / 2³¹⌋,
 * y = zero + ⌊(z · gamma + beta + 2²⁶) / 2²⁷⌋, clamped.
 */
export interface LayernormStep extends StepBase {
  readonly kernel: "layernorm";
  readonly input: number;
  readonly epsilon: number;
  /** int32[n] */
  readonly gamma: string;
  /** int32[2n]: low and high words of int64[n] */
  readonly beta: string;
  readonly zero: number;
  readonly lo: number;
  readonly hi: number;
}

/** Codes that the plan brings along: int8, in the order of the output in memory, without padding. */
export interface ConstantStep extends StepBase {
  readonly kernel: "constant";
  readonly data: string;
}

/** One step of a program; `kernel` says which. */
export type Step =
  | ConvStep
  | AddStep
  | MulStep
  | LookupStep
  | PoolStep
  | CopyStep
  | SoftmaxStep
  | MatmulStep
  | LayernormStep
  | ConstantStep;

/** Inputs that anybody can make again (golden.ts), and what the program answers: proof that a machine computes the same integers. */
export interface Golden {
  readonly seed: number;
  /** Names of tensors, one for each output of the plan, of its type, in the model's axes. */
  readonly outputs: readonly string[];
}

/** An integer program with its tensors: the content of a .halftone file. */
export interface Plan {
  readonly version: number;
  readonly arithmetic: string;
  readonly values: readonly PlanValue[];
  /** Indices of values, in the model's order; names are the values' names. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly steps: readonly Step[];
  /** In bytes, a multiple of 16: the peak of the liveness-planned activations. */
  readonly arenaBytes: number;
  readonly tensors: ReadonlyMap<string, PlanTensor>;
  /** Plain JSON, as data/types.ts Preprocessing. */
  readonly preprocessing?: unknown;
  /**
   * The codes of the only input are the stored numbers v that preprocessing starts from (bytes of a picture), less its zero point: scale
   * and shift are in the first layers' weights and biases. Real numbers x that enter are turned back into v = (x · std + mean) / scale.
   */
  readonly pixels?: boolean | undefined;
  readonly labels?: readonly string[] | undefined;
  readonly golden?: readonly Golden[] | undefined;
  /** Source hash, options, seed, per-layer report: left out of comparisons. */
  readonly provenance?: Readonly<Record<string, unknown>> | undefined;
}
