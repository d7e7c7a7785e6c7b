import { goldenInputs } from "../plan/golden.ts";
import type { Golden, Plan, PlanTensor } from "../plan/types.ts";
import { createSession, type SessionOptions } from "./index.ts";

/** Two inputs show what depends on what the run before left behind. */
const seeds = [1, 2];

/** The plan with golden inputs and its own answers to them, for `session.verify()`. Golden inputs that it had are replaced. */
export async function withGolden(plan: Plan, options: SessionOptions = {}): Promise<Plan> {
  const tensors = new Map<string, PlanTensor>(plan.tensors);
  for (const { outputs } of plan.golden ?? []) for (const name of outputs) tensors.delete(name);
  const { golden: _golden, ...bare } = plan;
  const session = await createSession({ ...bare, tensors: new Map(tensors) }, options);
  const golden = seeds.map((seed, i): Golden => {
    const answers = session.run(goldenInputs(plan, seed));
    const outputs = plan.outputs.map((index, k) => {
      const name = `golden.${i}.${k}`;
      tensors.set(name, answers[plan.values[index]!.name]!.codes);
      return name;
    });
    return { seed, outputs };
  });
  session[Symbol.dispose]();
  return { ...plan, tensors, golden };
}
