import { assert } from "../../errors.ts";
import type { Plan } from "../../plan/types.ts";

export function int8Tensor(plan: Plan, name: string): Int8Array {
  const tensor = plan.tensors.get(name);
  assert(tensor instanceof Int8Array, `tensor '${name}' of the plan is int8`);
  return tensor;
}

export function int32Tensor(plan: Plan, name: string): Int32Array {
  const tensor = plan.tensors.get(name);
  assert(tensor instanceof Int32Array, `tensor '${name}' of the plan is int32`);
  return tensor;
}
