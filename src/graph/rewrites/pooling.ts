// The mean over a whole image is written in many ways; GlobalAveragePool is the one.

import { rewriteEach } from "../editor.ts";
import type { Rewrite } from "../types.ts";
import { reducedAxes } from "./lists.ts";
import { int64s } from "../tensors.ts";
import { reshapeTarget } from "./reshape.ts";

/** AveragePool (or MaxPool) whose one window is the whole image becomes GlobalAveragePool (GlobalMaxPool). Windows are in explicit form. */
export const globalPools: Rewrite = rewriteEach("global-pools", ["AveragePool", "MaxPool"], (node, edit) => {
  const sizes = edit.fact(node.inputs[0])?.dims?.slice(2);
  const { kernel_shape, pads } = node.attributes as Record<string, readonly number[] | undefined>;
  const whole = sizes && String(sizes) === String(kernel_shape) && pads?.every((pad) => pad === 0);
  if (whole && node.outputs.length === 1) edit.replace(node, { ...node, op: `Global${node.op}`, attributes: {} });
});

/**
 * ReduceMean over all spatial axes of an image [N, C, H, W, …] becomes GlobalAveragePool, then Reshape without `keepdims`.
 * Rank 3 is left alone: there the last axis may as well be the channels of a sequence.
 */
export const meanToGlobalPool: Rewrite = rewriteEach("mean-to-global-pool", ["ReduceMean"], (node, edit) => {
  const [x = ""] = node.inputs;
  const from = edit.fact(x);
  const axes = reducedAxes(node, edit);
  const to = edit.fact(node.outputs[0])?.dims;
  if (!from?.dims || from.dims.length < 4 || from.dtype !== "float32" || !to) return;
  if (String(axes) !== String(from.dims.map((_, axis) => axis).slice(2))) return;
  if (node.attributes.keepdims !== 0) {
    edit.replace(node, { ...node, op: "GlobalAveragePool", inputs: [x], attributes: {} });
    return;
  }
  const target = reshapeTarget(undefined, to);
  if (!target) return;
  const pooled = edit.freshValue(`${node.outputs[0]}/pooled`);
  edit.replace(
    node,
    { ...node, op: "GlobalAveragePool", inputs: [x], outputs: [pooled], attributes: {} },
    {
      ...node,
      name: `${node.name}/reshape`,
      op: "Reshape",
      inputs: [pooled, edit.addConstant(`${node.name}/shape`, int64s(target))],
      attributes: {},
    },
  );
});
