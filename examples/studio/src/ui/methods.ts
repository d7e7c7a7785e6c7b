// What the library's rows are called here, and when to take which.

export interface MethodCard {
  /** A row of the library's table. */
  readonly name: string;
  readonly title: string;
  readonly says: string;
  /** What its length is measured in, where it can be chosen. */
  readonly effort?: "iterations" | "minutes";
}

export const methods: readonly MethodCard[] = [
  { name: "nearest", title: "Nearest", says: "Each weight to its nearest code. Seconds; right for 8 bits, often for 6." },
  {
    name: "gptq",
    title: "GPTQ",
    says: "Closed form from Gram matrices: later weights make up for earlier roundings. Good at 4 and 3 bits.",
  },
  {
    name: "gptq-descent",
    title: "GPTQ + descent",
    says: "GPTQ, then coordinate descent until no code moves. The best without learning, down to 2 bits.",
  },
  {
    name: "gram-adaround",
    title: "AdaRound on Gram matrices",
    says: "Roundings learned from Gram matrices: every step sees all samples and touches none.",
  },
  {
    name: "auto",
    title: "Auto",
    effort: "minutes",
    says: "GPTQ first, then the whole network learns to answer as the float one. The best there is for a stated time.",
  },
  { name: "adaround", title: "AdaRound", effort: "iterations", says: "Roundings learned layer by layer, by gradient." },
  {
    name: "brecq",
    title: "BRECQ",
    effort: "iterations",
    says: "Roundings learned block by block, so that layers make up for one another.",
  },
  {
    name: "qdrop",
    title: "QDrop",
    effort: "iterations",
    says: "As BRECQ, with activations quantized at random meanwhile. For 4 bits and fewer on both sides.",
  },
  {
    name: "flexround",
    title: "FlexRound",
    effort: "iterations",
    says: "Divisors learned for every weight; codes may move by more than one.",
  },
  { name: "pd-quant", title: "PD-Quant", effort: "iterations", says: "As QDrop, judged by the network's final answer. The slowest." },
];

export const ranges = [
  { name: "auto", title: "Automatic" },
  { name: "mse", title: "Least error" },
  { name: "minmax", title: "Extremes" },
  { name: "percentile", title: "Percentile" },
  { name: "entropy", title: "Entropy" },
] as const;
