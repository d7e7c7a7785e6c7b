import type { LayernormStep, Plan } from "../../plan/types.ts";
import type { IntegerKernels } from "../kernels.ts";
import { inArena, type PreparedStep, Program } from "../program.ts";
import { callElements, image, pixels, slices } from "./image.ts";
import { int32Tensor } from "./tensors.ts";

/** Layer normalization over the last physical axis. */
export function prepareLayernorm(step: LayernormStep, plan: Plan, kernels: IntegerKernels): PreparedStep {
  const program = new Program();
  const x = image(plan.values[step.input]!);
  const y = image(plan.values[step.output]!);
  const epsilon = program.constant(Int32Array.of(step.epsilon | 0, Math.floor(step.epsilon / 4294967296)));
  const gamma = program.constant(int32Tensor(plan, step.gamma));
  const beta = program.constant(int32Tensor(plan, step.beta));
  for (const [r0, r1] of slices(pixels(x), Math.ceil(callElements / x.channels))) {
    const [from, to] = [inArena(x.offset + r0 * x.pitch), inArena(y.offset + r0 * y.pitch)];
    const constants = [epsilon, gamma, beta] as const;
    program.call(kernels.layernorm, from, to, r1 - r0, x.channels, x.pitch, y.pitch, ...constants, step.zero, step.lo, step.hi);
  }
  return program;
}
