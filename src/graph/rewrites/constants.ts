// What is known before a run is computed before a run.

import { areKnown, isKnown, productOfDims } from "../dims.ts";
import { type Editor, rewriteEach } from "../editor.ts";
import { evaluateNode } from "../evaluate.ts";
import { allocate, isBig, isInteger } from "../tensors.ts";
import type { Fact, GraphNode, Rewrite, Tensor } from "../types.ts";

/** Larger results stay computed: a model may ask for a gigabyte of zeros in thirty bytes. */
const maxFolded = 0x1000000;

function isSmall(fact: Fact | undefined): boolean {
  return areKnown(fact?.dims) && Number(productOfDims(fact.dims)) <= maxFolded;
}

const foldUnless = (name: string, keep: (node: GraphNode) => boolean): Rewrite =>
  rewriteEach(name, "any", (node, edit) => {
    if (!keep(node)) foldNode(node, edit);
  });

/** A node whose inputs are all constants becomes constants, by its reference. */
export const foldConstants: Rewrite = foldUnless("fold-constants", () => false);

/** The same, but codes and their scales stay apart. */
export const foldAroundCodes: Rewrite = foldUnless("fold-around-codes", ({ op }) => op === "DequantizeLinear");

function foldNode(node: GraphNode, edit: Editor): void {
  const ready = node.inputs.every((input) => input === "" || edit.constant(input));
  const outputs = node.outputs.filter((output) => output !== "");
  if (!ready || !outputs.every((output) => isSmall(edit.fact(output)))) return;
  edit.replaceByConstants(
    node,
    evaluateNode(
      node,
      node.inputs.map((input) => edit.constant(input)),
    ),
  );
}

/** Shape arithmetic whose every element is known becomes a constant, though the shape it started from has symbols. */
export const foldShapes: Rewrite = rewriteEach("fold-shapes", "any", (node, edit) => {
  const tensors = node.outputs.map((output) => knownTensor(edit.fact(output)));
  if (tensors.every((tensor) => tensor !== undefined)) edit.replaceByConstants(node, tensors);
});

function knownTensor(fact: Fact | undefined): Tensor | undefined {
  const elements = fact?.elements;
  if (!fact || !elements?.every(isKnown) || !areKnown(fact.dims)) return undefined;
  if ((!isInteger(fact.dtype) && fact.dtype !== "bool") || elements.length !== productOfDims(fact.dims)) return undefined;
  const data = allocate(fact.dtype, elements.length);
  elements.forEach((element, i) => {
    data[i] = isBig(data) ? BigInt(element as number) : (element as number);
  });
  return { dtype: fact.dtype, dims: fact.dims, data };
}
