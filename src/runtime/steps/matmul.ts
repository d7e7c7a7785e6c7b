import { logicalStrides } from "../../plan/layout.ts";
import type { MatmulStep, Plan, PlanValue } from "../../plan/types.ts";
import type { IntegerKernels } from "../kernels.ts";
import { inArena, type PreparedStep, Program, plus } from "../program.ts";
import { leave } from "./epilogue.ts";
import { callElements, image, roundUp, slices } from "./image.ts";
import { panelGroup } from "./producer.ts";

/** Bytes of accumulators between product and epilogue: half a first-level cache. */
const blockBytes = 16384;
/** Rows at a time, where panels are narrow: what is packed of the left factor stays in cache too. */
const mostRows = 64;

/** Places of the first element of every matrix, in elements from the value's. */
function matrixOffsets({ dims }: PlanValue, strides: readonly number[]): number[] {
  let all = [0];
  for (const [axis, extent] of dims.slice(0, -2).entries())
    all = all.flatMap((start) => Array.from({ length: extent }, (_, i) => start + i * strides[axis]!));
  return all;
}

/** Products of matrices of codes: the right factor is packed once, the left one a slice of rows at a time. */
export function prepareMatmul(step: MatmulStep, plan: Plan, kernels: IntegerKernels): PreparedStep {
  const program = new Program();
  const [a, b] = step.inputs.map((index) => plan.values[index]!) as [PlanValue, PlanValue];
  const y = image(plan.values[step.output]!);
  const [m, k] = a.dims.slice(-2) as [number, number];
  const n = b.dims.at(-1)!;
  const [ofA, ofB] = [logicalStrides(a), logicalStrides(b)];
  const [pairs, panels] = [Math.ceil(k / 2), Math.ceil(n / 8)];
  const panelWeights = pairs * 32;
  const rowPitch = roundUp(k, 8) * 2;
  const sliceRows = Math.min(m, mostRows);
  const panelBytes = roundUp(sliceRows, 4) * 32;
  const panelsPerBlock = Math.max(1, Math.floor(blockBytes / panelBytes));

  const right = program.scratch(panels * panelWeights);
  const left = program.scratch(roundUp(sliceRows, 4) * rowPitch);
  const acc = program.scratch(roundUp(Math.min(panels, panelsPerBlock), panelGroup) * panelBytes);
  const bound = Math.max(Math.abs(step.accumulator[0]), Math.abs(step.accumulator[1]));
  const to = { program, plan, kernels, output: y, first: 0, count: n, bound: () => bound };
  const emit = leave(to, { kind: "requantize", ...step.requantization });
  const starts = [matrixOffsets(a, ofA), matrixOffsets(b, ofB)] as const;
  for (const [matrix, fromA] of starts[0].entries()) {
    program.part();
    for (const [c0, c1] of slices(n, roundUp(Math.ceil(callElements / k), 8))) {
      const from = inArena(b.offset + starts[1][matrix]! + c0 * ofB.at(-1)!);
      program.call(kernels.packColumns, from, ofB.at(-2)!, ofB.at(-1)!, k, c1 - c0, b.zeroPoint, plus(right, (c0 / 8) * panelWeights));
    }
    program.item();
    for (const [r0, r1] of slices(m, sliceRows)) {
      const rows = r1 - r0;
      const from = inArena(a.offset + fromA + r0 * ofA.at(-2)!);
      program.call(kernels.packRows, from, ofA.at(-2)!, ofA.at(-1)!, rows, k, a.zeroPoint, left, rowPitch);
      const panelPitch = roundUp(rows, 4) * 32;
      for (const [p0, p1] of slices(panels, panelsPerBlock)) {
        program.call(kernels.products, left, 0, rowPitch, rows, plus(right, p0 * panelWeights), panelWeights, pairs, acc, p1 - p0);
        emit({ acc, panelPitch, firstPixel: matrix * m + r0, pixels: rows, firstPanel: p0, panels: p1 - p0 });
      }
    }
  }
  return program;
}
