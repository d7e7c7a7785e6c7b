import { assert } from "../../errors.ts";
import type { Plan, SoftmaxStep } from "../../plan/types.ts";
import type { IntegerKernels } from "../kernels.ts";
import { inArena, type PreparedStep, Program } from "../program.ts";
import { callElements, image, pixels, slices } from "./image.ts";

/** Softmax over the last physical axis, by a table of exponentials. */
export function prepareSoftmax(step: SoftmaxStep, plan: Plan, kernels: IntegerKernels): PreparedStep {
  const program = new Program();
  const x = image(plan.values[step.input]!);
  const y = image(plan.values[step.output]!);
  assert(x.channels === y.channels && pixels(x) === pixels(y), "a softmax keeps the shape of its input");
  const data = plan.tensors.get(step.table);
  assert(data instanceof Uint32Array && data.length === 256, `tensor '${step.table}' of the plan is uint32[256]`);
  const table = program.constant(data);
  const row = program.scratch(x.channels * 4);
  for (const [r0, r1] of slices(pixels(x), Math.ceil(callElements / x.channels))) {
    const [from, to] = [inArena(x.offset + r0 * x.pitch), inArena(y.offset + r0 * y.pitch)];
    program.call(kernels.softmax, from, to, r1 - r0, x.channels, x.pitch, y.pitch, table, row);
  }
  return program;
}
