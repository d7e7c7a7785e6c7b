// Every promise a plan makes, checked once before it runs: afterwards no step can touch memory outside its buffers, read what was never
// written, overflow an accumulator, or run for ever.
import { HalftoneError } from "../errors.ts";
import { checkConv, checkPool } from "./check-conv.ts";
import { checkLayernorm, checkMatmul } from "./check-matrices.ts";
import { checkConstant, checkCopy } from "./check-copy.ts";
import { checkAdd, checkLookup, checkMul, checkSoftmax } from "./check-elementwise.ts";
import { Context, type Interval } from "./context.ts";
import { malformed, show } from "./fields.ts";
import { checkGolden } from "./golden.ts";
import { channelsOf, storedBytes } from "./layout.ts";
import { checkLifetimes } from "./lifetimes.ts";
import { type PlanPreprocessing, program } from "./program.ts";
import { arithmeticVersion, oldestVersion, type Plan, type PlanValue, planVersion, type Step } from "./types.ts";

/** One row per kernel. */
const checks: { readonly [K in Step["kernel"]]: (context: Context, step: Extract<Step, { kernel: K }>) => void } = {
  conv: checkConv,
  add: checkAdd,
  mul: checkMul,
  lookup: checkLookup,
  maxpool: checkPool,
  avgpool: checkPool,
  copy: checkCopy,
  softmax: checkSoftmax,
  matmul: checkMatmul,
  layernorm: checkLayernorm,
  constant: checkConstant,
};

/** Before the fields are read: a newer plan may have fields that this reader doesn't know. */
export function checkVersions(version: unknown, arithmetic: unknown): void {
  if (!(typeof version === "number" && Number.isInteger(version) && version >= oldestVersion && version <= planVersion))
    throw new HalftoneError(
      "PLAN_VERSION",
      "plan version",
      show(version),
      `${oldestVersion} to ${planVersion}`,
      typeof version !== "number"
        ? ""
        : version > planVersion
          ? "It was written by a newer Halftone: update this one."
          : "It was written by an older Halftone: quantize the model again.",
    );
  if (arithmetic !== arithmeticVersion)
    throw new HalftoneError(
      "PLAN_VERSION",
      "plan arithmetic",
      show(arithmetic),
      `'${arithmeticVersion}'`,
      "Its integers mean something else to this runtime: lower the model again.",
    );
}

/** Kernels that walk whole rows of one buffer along those of another read at most so much behind its end. */
const mostPadding = 15;

function checkValue(value: PlanValue, index: number, arenaBytes: number): void {
  const place = `plan value ${index} '${value.name}'`;
  const rank = value.dims.length;
  if (value.order.length !== rank || new Set(value.order).size !== rank || value.order.some((axis) => axis >= rank))
    throw malformed(`${place} order`, show(value.order), `a permutation of ${rank} axes`);
  const channels = channelsOf(value);
  if (value.pitch < channels || value.pitch > channels + mostPadding)
    throw malformed(
      `${place} pitch`,
      `${value.pitch}`,
      `${channels} to ${channels + mostPadding}: the last axis, and at most ${mostPadding} lanes`,
    );
  if (value.offset % 16 !== 0) throw malformed(`${place} offset`, `${value.offset}`, "a multiple of 16");
  const end = value.offset + storedBytes(value);
  if (end > arenaBytes) throw malformed(place, `bytes up to ${end}`, `an end inside the arena of ${arenaBytes} bytes`);
  const scales = value.scale.length;
  if (scales !== 1 && (value.type === "int8" || scales !== channels))
    throw malformed(`${place} scale`, `${scales} numbers`, value.type === "int8" ? "1" : `1 or ${channels}`);
  if (value.type === "int32" && value.zeroPoint !== 0) throw malformed(`${place} zeroPoint`, `${value.zeroPoint}`, "0 for int32");
}

function checkEnds(plan: Plan, ends: "inputs" | "outputs"): void {
  const names = new Set<string>();
  for (const index of plan[ends]) {
    const value = plan.values[index];
    if (value === undefined) throw malformed(`plan ${ends}`, `value ${index}`, `one of the ${plan.values.length} values`);
    if (names.has(value.name)) throw malformed(`plan ${ends}`, `'${value.name}' twice`, "names that differ");
    if (ends === "inputs" && value.type !== "int8") throw malformed(`plan input '${value.name}'`, value.type, "int8");
    names.add(value.name);
  }
}

/** What the border needs to turn real numbers back into the stored ones. */
function checkPixels(plan: Plan): void {
  const place = "plan pixels";
  const value = plan.values[plan.inputs[0]!]!;
  if (plan.inputs.length !== 1) throw malformed(place, `${plan.inputs.length} inputs`, "one");
  if (value.scale[0] !== 1) throw malformed(place, `an input of scale ${value.scale[0]}`, "1: its codes count stored numbers");
  const given = plan.preprocessing as PlanPreprocessing | undefined;
  if (given === undefined) throw malformed(place, "no preprocessing", "one that says which numbers the stored ones stand for");
  if (given.scale === 0) throw malformed(place, "a preprocessing of scale 0", "another scale");
  const channels = value.dims.length === 3 ? value.dims[0]! : 1;
  for (const name of ["mean", "std"] as const) {
    const { length } = given[name];
    if (length !== 1 && length !== channels) throw malformed(place, `a ${name} of ${length} channels`, `1 or ${channels}`);
  }
}

/**
 * Checks a plan from wherever it comes: its fields, then values and arena, then each step in the light of the ones before it.
 *
 * @throws HalftoneError PLAN_MALFORMED or PLAN_VERSION
 */
export function checkPlan(plan: Plan): void {
  checkVersions(plan.version, plan.arithmetic);
  const { tensors: _tensors, provenance: _provenance, ...fields } = plan;
  program(fields, "plan");
  checkProgram(plan);
}

/** The same for a plan whose fields have been read by `program`. */
export function checkProgram(plan: Plan): void {
  if (plan.arenaBytes % 16 !== 0) throw malformed("plan arenaBytes", `${plan.arenaBytes}`, "a multiple of 16");
  for (const [index, value] of plan.values.entries()) checkValue(value, index, plan.arenaBytes);
  checkEnds(plan, "inputs");
  checkEnds(plan, "outputs");
  if (plan.pixels) checkPixels(plan);
  const context = new Context(plan);
  for (const [index, step] of plan.steps.entries()) {
    context.index = index;
    const check = checks[step.kernel] as (context: Context, step: Step) => void;
    check(context, step);
  }
  for (const index of plan.outputs) {
    if (!context.written[index]?.complete)
      throw malformed(`plan output '${plan.values[index]!.name}'`, "no step that writes it whole", "one");
  }
  checkLifetimes(plan);
  checkGolden(plan);
  ranges.set(
    plan,
    context.written.map((written) => written?.range),
  );
}

const ranges = new WeakMap<Plan, readonly (Interval | undefined)[]>();

/** All codes of a value, padding lanes aside, lie in this interval: what its writer promises, once the plan has been checked. */
export function codeRange(plan: Plan, value: number): Interval {
  return ranges.get(plan)?.[value] ?? [-128, 127];
}
