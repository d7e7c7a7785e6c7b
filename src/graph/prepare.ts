// Prepare: the model as its exporter wrote it → the graph that every later room works on.

import { assert } from "../errors.ts";
import { inferFacts } from "./infer.ts";
import { foldBatchNormalization, foldChannelArithmetic } from "./rewrites/affine.ts";
import { explicitAttributes, explicitWindows } from "./rewrites/attributes.ts";
import { mergeClamps } from "./rewrites/clip.ts";
import { foldAroundCodes, foldConstants, foldShapes } from "./rewrites/constants.ts";
import { canonicalGemm, constantsRight, exactInverses, matMulToGemm } from "./rewrites/dense.ts";
import { canonicalPad, canonicalReduce, canonicalSlice } from "./rewrites/lists.ts";
import { dropNoops } from "./rewrites/noops.ts";
import { absorbPad } from "./rewrites/padding.ts";
import { gelu, geluTanh, hardSwish, layerNormalization, plainPowers, swish } from "./rewrites/patterns.ts";
import { globalPools, meanToGlobalPool } from "./rewrites/pooling.ts";
import { canonicalReshape, mergeReshapes, mergeTransposes } from "./rewrites/reshape.ts";
import type { Graph, Rewrite } from "./types.ts";

/** In the order they are tried: what is known first, then one spelling for each meaning, then fewer nodes. */
export const rewrites: readonly Rewrite[] = [
  foldConstants,
  foldShapes,
  explicitAttributes,
  explicitWindows,
  canonicalReshape,
  canonicalSlice,
  canonicalPad,
  canonicalReduce,
  constantsRight,
  dropNoops,
  mergeReshapes,
  mergeTransposes,
  layerNormalization,
  gelu,
  geluTanh,
  hardSwish,
  swish,
  plainPowers,
  exactInverses,
  canonicalGemm,
  matMulToGemm,
  foldBatchNormalization,
  foldChannelArithmetic,
  absorbPad,
  globalPools,
  meanToGlobalPool,
  mergeClamps,
];

/** Those that a graph with known sizes may still need: every value that is computed stays as it is, or goes without a trace in the codes. */
const settling: readonly Rewrite[] = [
  foldConstants,
  foldShapes,
  explicitAttributes,
  explicitWindows,
  canonicalReshape,
  canonicalSlice,
  canonicalPad,
  canonicalReduce,
  dropNoops,
  mergeReshapes,
  mergeTransposes,
];

/** Each round removes a node or brings one nearer to its canonical form; chains longer than this do not occur by accident. */
const maxRounds = 1000;

/** Applies rewrites, in order and again, until none changes the graph. */
export function applyRewrites(graph: Graph, list: readonly Rewrite[]): Graph {
  let current = graph;
  for (let round = 0; round < maxRounds; round++) {
    const before = current;
    for (const rewrite of list) current = rewrite.apply(current);
    if (current === before) return current;
    current = inferFacts(current);
  }
  assert(false, "rewrites come to rest");
}

/**
 * The graph with constants and shape arithmetic folded, BatchNormalization in the weights, Pad in the windows, nothing idle, and one
 * spelling for each meaning: exports of one network by different tools end as the same list of operators (see summarize.ts).
 * Float-equal to its input up to the rounding of folded weights; names of inputs, outputs and layers stay.
 */
export function prepare(graph: Graph): Graph {
  return applyRewrites(graph, rewrites);
}

/** The same for a graph whose weights stand behind DequantizeLinear: integer codes are not folded into floats. */
export function prepareQuantized(graph: Graph): Graph {
  return applyRewrites(
    graph,
    rewrites.map((rewrite) => (rewrite === foldConstants ? foldAroundCodes : rewrite)),
  );
}

/** A prepared graph whose sizes have become known: shape arithmetic folded, without touching what scales and codes were chosen for. */
export function settle(graph: Graph): Graph {
  return applyRewrites(graph, settling);
}
