import type { QuantizeOptions } from "../quantized/options.ts";
import { chooseMethod } from "../reconstruct/choose.ts";
import { type AxisName, axisNames, type Choice, type SweepPlan } from "./types.ts";

export interface Cell {
  readonly choices: Readonly<Record<AxisName, string>>;
  readonly options: QuantizeOptions;
  /** Whether the method looks at samples once ranges are there. */
  readonly looks: boolean;
}

/**
 * Every combination of choices, the last axis running fastest. A method that draws nothing has one seed, the first.
 *
 * @throws HalftoneError OPTION_INVALID of a method
 */
export function cellsOf({ axes, options }: SweepPlan): Cell[] {
  const combinations = axisNames.reduce<Choice[][]>(
    (before, axis) => before.flatMap((chosen) => axes[axis].map((choice) => [...chosen, choice])),
    [[]],
  );
  const firstSeed = axes.seed[0];
  return combinations.flatMap((chosen): Cell[] => {
    const sets = chosen.map(({ set }) => set);
    const learning = Object.assign({}, options.learning, ...sets.map((set) => set.learning));
    const merged: QuantizeOptions = { ...options, ...Object.assign({}, ...sets), learning };
    const method = chooseMethod(merged);
    const learns = method.parametrization !== "nearest" && !method.gram;
    const draws = (learns && method.schedule.iterations > 0) || method.network !== undefined;
    if (!draws && chosen.at(-1) !== firstSeed) return [];
    const choices = Object.fromEntries(axisNames.map((axis, i) => [axis, chosen[i]!.label])) as Record<AxisName, string>;
    return [{ choices, options: merged, looks: learns || method.gram !== undefined || method.network !== undefined }];
  });
}
