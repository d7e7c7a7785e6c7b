// Golden inputs are made, not stored: a plan holds a seed and what the program answers.
import { malformed } from "./fields.ts";
import { logicalElements } from "./layout.ts";
import type { Plan } from "./types.ts";

/**
 * Element i of input k is the highest byte of fmix32((65536 · seed + k) · 0x9e3779b9 + i), as a signed code.
 *
 * @source MurmurHash3's finalizer (Appleby), modulo 2³²
 */
export function goldenCodes(seed: number, input: number, length: number): Int8Array {
  const first = Math.imul(65_536 * seed + input, 0x9e3779b9);
  const codes = new Int8Array(length);
  for (let i = 0; i < length; i++) {
    let z = (first + i) | 0;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    codes[i] = (z ^ (z >>> 16)) >> 24;
  }
  return codes;
}

/** One array of codes for each input of the plan, by name. */
export function goldenInputs(plan: Pick<Plan, "inputs" | "values">, seed: number): Record<string, Int8Array> {
  return Object.fromEntries(
    plan.inputs.map((index, k) => {
      const value = plan.values[index]!;
      return [value.name, goldenCodes(seed, k, logicalElements(value))];
    }),
  );
}

/** Every golden answer has a tensor of the type and length of each output. */
export function checkGolden(plan: Plan): void {
  for (const [i, { outputs }] of (plan.golden ?? []).entries()) {
    const place = `plan golden ${i}`;
    if (outputs.length !== plan.outputs.length)
      throw malformed(place, `${outputs.length} outputs`, `the ${plan.outputs.length} of the plan`);
    for (const [k, name] of outputs.entries()) {
      const value = plan.values[plan.outputs[k]!]!;
      const length = logicalElements(value);
      const tensor = plan.tensors.get(name);
      if (!(tensor instanceof (value.type === "int8" ? Int8Array : Int32Array)) || tensor.length !== length) {
        const found = tensor ? `tensor '${name}' of ${tensor.constructor.name}[${tensor.length}]` : `no tensor '${name}'`;
        throw malformed(`${place} output '${value.name}'`, found, `${value.type}[${length}]`);
      }
    }
  }
}
