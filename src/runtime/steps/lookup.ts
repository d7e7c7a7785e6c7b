import { assert } from "../../errors.ts";
import type { LookupStep, Plan } from "../../plan/types.ts";
import type { IntegerKernels } from "../kernels.ts";
import { inArena, type PreparedStep, Program } from "../program.ts";
import { callElements, image, pixels, slices } from "./image.ts";
import { int8Tensor } from "./tensors.ts";

/** y = table[x + 128], one table for all or one per channel. */
export function prepareLookup(step: LookupStep, plan: Plan, kernels: IntegerKernels): PreparedStep {
  const program = new Program();
  const x = image(plan.values[step.input]!);
  const y = image(plan.values[step.output]!);
  assert(x.pitch === y.pitch && pixels(x) === pixels(y) && x.size === 1 && y.size === 1, "a lookup keeps the layout of its input");
  const table = program.constant(int8Tensor(plan, step.table));
  const rowBytes = step.perChannel ? x.pitch : 1;
  for (const [r0, r1] of slices((pixels(x) * x.pitch) / rowBytes, Math.ceil(callElements / rowBytes))) {
    const [from, to] = [inArena(x.offset + r0 * rowBytes), inArena(y.offset + r0 * rowBytes)];
    if (step.perChannel) program.call(kernels.lookup, from, to, r1 - r0, x.channels, x.pitch, table, 256);
    else program.call(kernels.lookup, from, to, 1, r1 - r0, 0, table, 0);
  }
  return program;
}
