// Activations of fewer bits than their codes' type: a Clip before QuantizeLinear says which codes may occur.
import { quantizeOne } from "../formats/linear.ts";
import { rewriteEach } from "../graph/editor.ts";
import type { GraphNode, Rewrite } from "../graph/types.ts";

/** Attributes of a QuantizeLinear node that no file has: the least and greatest code. */
export interface CodeBounds {
  readonly least?: number | undefined;
  readonly greatest?: number | undefined;
}

export const boundsOf = (node: GraphNode): CodeBounds => node.attributes as CodeBounds;

/**
 * Clip between two codes, 2^bits of them with bits < 8, for a QuantizeLinear alone: the bounds become the node's. Legal since rounding is
 * monotone; other clips (ReLU6) stay what they are.
 */
export const absorbNarrowClips: Rewrite = rewriteEach("absorb-narrow-clips", ["QuantizeLinear"], (node, edit) => {
  const clip = edit.ownProducer(node.inputs[0], "Clip");
  const [scale, zero, least, greatest] = [node.inputs[1], node.inputs[2], clip?.inputs[1], clip?.inputs[2]].map((name) =>
    edit.constant(name),
  );
  if (!clip || !scale || !zero || !least || !greatest || (zero.dtype !== "uint8" && zero.dtype !== "int8")) return;
  const [lowest, highest] = zero.dtype === "uint8" ? [0, 255] : [-128, 127];
  const [s, z] = [Number(scale.data[0]), Number(zero.data[0])];
  const codes = [least, greatest].map((bound) => {
    const real = Number(bound.data[0]);
    const code = quantizeOne(real, s, z, lowest!, highest!);
    return Math.fround(s * (code - z)) === real ? code : Number.NaN;
  });
  const [lo, hi] = codes as [number, number];
  const count = hi - lo + 1;
  if (!(count >= 2 && count < 256 && (count & (count - 1)) === 0)) return;
  edit.replace(node, {
    ...node,
    inputs: [clip.inputs[0]!, ...node.inputs.slice(1)],
    attributes: { ...node.attributes, least: lo, greatest: hi },
  });
});
