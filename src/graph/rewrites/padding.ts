// A Pad of zeros before a window that pads with zeros anyway is part of the window.

import { rewriteEach } from "../editor.ts";
import type { GraphNode, Rewrite } from "../types.ts";
import { padsOf, padValue } from "./lists.ts";

/** True when what the window assumes beyond the edge is what Pad put there. Windows are in explicit form. */
function padsAlike(window: GraphNode, value: number): boolean {
  if (window.op === "MaxPool") return value === Number.NEGATIVE_INFINITY;
  if (value !== 0 || window.attributes.auto_pad !== undefined) return false;
  if (window.op === "Conv") return true;
  // An average counts zeros of Pad as elements: all padding must be counted, and none may lie beyond it.
  const { ceil_mode, count_include_pad, pads } = window.attributes;
  const ownPads = (pads as readonly number[] | undefined)?.some((pad) => pad !== 0);
  return ceil_mode === 0 && (count_include_pad === 1 || ownPads === false);
}

/**
 * Pad → Conv, AveragePool or MaxPool becomes the window with wider pads.
 * Legal for constant mode, on spatial axes only, without cropping, with the value that the window itself assumes beyond the edge.
 */
export const absorbPad: Rewrite = rewriteEach("absorb-pad", ["Conv", "AveragePool", "MaxPool"], (node, edit) => {
  const pad = edit.producer(node.inputs[0]);
  const own = node.attributes.pads as readonly number[] | undefined;
  if (pad?.op !== "Pad" || pad.attributes.mode !== "constant" || !own) return;
  const pads = padsOf(pad, edit);
  const value = padValue(pad, edit);
  if (!pads || value === undefined || !padsAlike(node, value)) return;
  const spatial = own.length / 2;
  const rank = pads.length / 2;
  const outside = [...pads.slice(0, rank - spatial), ...pads.slice(rank, 2 * rank - spatial)];
  if (spatial !== rank - 2 || outside.some((size) => size !== 0) || pads.some((size) => size < 0)) return;
  const wider = own.map((size, i) => size + pads[i < spatial ? i + 2 : i + 4]!);
  const counted: GraphNode["attributes"] = node.op === "AveragePool" ? { count_include_pad: 1 } : {};
  edit.replace(node, {
    ...node,
    inputs: [pad.inputs[0]!, ...node.inputs.slice(1)],
    attributes: { ...node.attributes, ...counted, pads: wider },
  });
});
