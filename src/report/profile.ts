import type { Program } from "../plan/program.ts";
import type { Step } from "../plan/types.ts";

export interface ProfileRow {
  readonly step: number;
  readonly kernel: Step["kernel"];
  /** Names in the source model. */
  readonly nodes: readonly string[];
  /** Dims of what the step writes. */
  readonly output: readonly number[];
  readonly ms: number;
  /** 10⁹ operations a second of steps with weights; a multiplication of the direct sum counts as two, whatever the algorithm. */
  readonly gops?: number | undefined;
}

/** A row for each step of a plan. @param times milliseconds of each step */
export function profileRows(plan: Program, times: readonly number[]): ProfileRow[] {
  return plan.steps.map((step, i) => {
    const output = plan.values[step.output]!;
    const ms = times[i]!;
    const row = { step: i, kernel: step.kernel, nodes: step.nodes, output: output.dims, ms };
    if (step.kernel !== "conv") return row;
    const channels = output.dims[output.order.at(-1) ?? 0] ?? 1;
    const pixels = output.dims.reduce((product, d) => product * d, 1) / channels;
    const input = plan.values[step.input]!;
    const taps = (step.window[0] * step.window[1] * (input.dims[input.order.at(-1) ?? 0] ?? 1)) / step.groups;
    return { ...row, gops: (2 * pixels * channels * taps) / ms / 1e6 };
  });
}
