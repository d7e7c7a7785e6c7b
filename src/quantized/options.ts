// What a user may choose, and what each node gets of it.
import { HalftoneError } from "../errors.ts";
import type { ResidualMode } from "./fusions.ts";

/** Rows of ranges/rules.ts; auto: percentile where codes have 8 bits and nothing is learned, else mse. */
export type RangeRuleName = "auto" | "mse" | "minmax" | "percentile" | "entropy";

/** Calibration samples are spread evenly over the data, drawn by chance, or as many of each class as there are, as the network sees them. */
export type Draw = "even" | "random" | "balanced";

/** How weights of at most 7 bits are placed: 80 shrunken ranges, 100 widths for every zero point, or nothing clipped. */
export type WeightRangeName = "mse" | "mse-grid" | "minmax";

/** Choices that can differ from node to node. */
export interface LayerOptions {
  /** Bits of weight codes, 2…8. */
  readonly weights: number;
  /** Bits of activation codes, 2…8. */
  readonly activations: number;
  readonly granularity: "channel" | "tensor";
  /** How activation ranges are found. */
  readonly ranges: RangeRuleName;
  /** How the ranges of weights of at most 7 bits are found, by default as the method does; 8-bit weights keep all of theirs. */
  readonly weightRanges?: WeightRangeName | undefined;
  /** Whether weights of at most 7 bits have a zero point of their own. 8-bit weights have none. */
  readonly weightZeros: "affine" | "symmetric";
}

/** `/regular expression/` over node names, or one exact name; later overrides win. */
export interface Override {
  readonly nodes: string;
  readonly set: Partial<LayerOptions>;
}

/** Cells of the method's row that the user exchanges (docs: methods); what is absent stays as published. */
export interface LearningOptions {
  readonly iterations?: number | undefined;
  /** Seconds that learning may take, for methods that plan their steps by it (network/budget.ts): a number, never a clock. */
  readonly budget?: number | undefined;
  /** Samples a step. */
  readonly batch?: number | undefined;
  /** Learning rate of roundings, and of the step sizes of activations (0: not learned). */
  readonly rate?: number | undefined;
  readonly scaleRate?: number | undefined;
  /** Weight of the rounding regularizer. */
  readonly lambda?: number | undefined;
  readonly objective?: "output" | "fisher" | "prediction" | undefined;
  readonly scope?: "layer" | "block" | "stage" | undefined;
  readonly optimizer?: "adam" | "radam" | "sgd" | "adamax" | "lion" | undefined;
  readonly course?: "constant" | "cosine" | undefined;
  /** Share of elements that are left in float while learning, of activations and of a part's inputs. */
  readonly drop?: number | undefined;
  readonly parametrization?: "nearest" | "sigmoid" | "division" | "power" | undefined;
  /** How an output is compared with its target. */
  readonly loss?: "output-mse" | "mse" | "mae" | "huber" | "nmse" | "cosine" | "output-kl" | "lp" | undefined;
  /** Outputs after a part's last activation, or before it. */
  readonly compared?: "after" | "before" | undefined;
  /** Weight of the prediction difference, and the temperature of its softmax. */
  readonly predictionWeight?: number | undefined;
  readonly temperature?: number | undefined;
  readonly relaxation?: "rectifiedSigmoid" | "sigmoid" | "clippedLine" | "tanh" | "cosine" | undefined;
  readonly regularizer?: "power" | "quadratic" | "none" | undefined;
  /** Share of the steps before the regularizer acts. */
  readonly warmUp?: number | undefined;
  /** Share of the weights that are learned, those nearest the middle between two codes. */
  readonly weightSubset?: number | undefined;
  /** How many codes further than up or down a weight may move. */
  readonly displacement?: number | undefined;
  /** Where roundings start: at the weights, or at the codes of gptq. */
  readonly warmStart?: "none" | "gptq" | undefined;
  /** Noise on the inputs of parts, or samples moved and mirrored besides. */
  readonly augment?: "none" | "noise" | "move" | undefined;
  /** What errors of a layer's outputs count, for methods that work from Gram matrices: alike, or as they change the network's answer. */
  readonly outputWeights?: "identity" | "fisher" | undefined;
  /** Steps of learning the activations' step sizes after all weights (BRECQ); 0: none. */
  readonly activationPhase?: number | undefined;
}

/** Everything that determines a Quantized besides model and data: the recipe. */
export interface QuantizeOptions extends LayerOptions {
  /** Bits of the first and the last layer's weights and of the last layer's input, or 0 to treat them like all others. */
  readonly firstLast: 0 | 8;
  /** The way weights are rounded: a row of the table of methods. */
  readonly method: string;
  readonly learning: LearningOptions;
  /** Learn and judge weights with activations in float: the program's codes are then its 8-bit twin. */
  readonly floatActivations: boolean;
  readonly residual: ResidualMode;
  /** Stretch the channels of a tensor to a common reach; by default where codes have 8 bits and nothing is learned, and by `auto` for activations of 3 bits and fewer. */
  readonly equalize?: boolean | undefined;
  /** Let biases make up for the mean error of rounded weights; by default where codes have 8 bits and nothing is learned. */
  readonly correct?: boolean | undefined;
  readonly exclude: readonly string[];
  readonly overrides: readonly Override[];
  /** Calibration samples, and which of the data they are (by default spread evenly). */
  readonly samples: number;
  readonly draw?: Draw | undefined;
  readonly seed: number;
}

export const defaultOptions: QuantizeOptions = {
  weights: 8,
  activations: 8,
  granularity: "channel",
  ranges: "auto",
  weightZeros: "affine",
  firstLast: 8,
  method: "nearest",
  learning: {},
  floatActivations: false,
  residual: "wide",
  exclude: [],
  overrides: [],
  samples: 512,
  seed: 0,
};

/** A predicate on node names from `/regex/` or a plain name. */
export function nodeMatcher(pattern: string): (name: string) => boolean {
  if (!pattern.startsWith("/") || !pattern.endsWith("/") || pattern.length < 3) return (name) => name === pattern;
  try {
    const expression = new RegExp(pattern.slice(1, -1), "u");
    return (name) => expression.test(name);
  } catch {
    throw new HalftoneError("OPTION_INVALID", `node pattern ${pattern}`, "a broken regular expression", "/REGEX/ or a node's name");
  }
}

/** Names of the nodes that a list of patterns picks; a pattern that picks none is a mistake. */
export function selectNodes(patterns: readonly string[], names: readonly string[], option: string): Set<string> {
  const selected = new Set<string>();
  for (const pattern of patterns) {
    const matched = names.filter(nodeMatcher(pattern));
    if (matched.length === 0) {
      throw new HalftoneError(
        "OPTION_INVALID",
        `${option} ${pattern}`,
        "no node of that name",
        `one of ${names.slice(0, 8).join(", ")}${names.length > 8 ? ", …" : ""}`,
        "`halftone inspect MODEL.onnx` lists the names.",
      );
    }
    for (const name of matched) selected.add(name);
  }
  return selected;
}

/** The options of each node, overrides applied in order. */
export function layerOptions(options: QuantizeOptions, names: readonly string[]): (node: string) => LayerOptions {
  const overrides = options.overrides.map(({ nodes, set }) => ({ selected: selectNodes([nodes], names, "--override"), set }));
  return (node) => Object.assign({}, options, ...overrides.filter(({ selected }) => selected.has(node)).map(({ set }) => set));
}
