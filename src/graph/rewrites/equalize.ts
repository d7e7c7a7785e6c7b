// Channels of one tensor share a scale of codes; those that reach less far than the widest lose bits. Here each is stretched, in the
// weights that make it, and shrunk again in the weights that read it: W₁ → S W₁, b₁ → S b₁, W₂ → W₂ S⁻¹.
// Source: Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction" §4.1, with the reach of
// activations in the place of weights'; exponents as in Xiao et al. 2023 (SmoothQuant) §4.
import { type ChannelGroup, channelGroups, isDepthwise } from "../channels.ts";
import { withConstants } from "../infer.ts";
import type { Graph, Tensor } from "../types.ts";

/** No channel is stretched further: one that slept while calibrating still has 1/64 of the range when it wakes. */
const mostStretch = 64;

/**
 * The factors of a group, 1 or more: T/r for reader filters of one channel each, whose own scales undo it for nothing; √(T/r) where
 * columns of one scale read the channels, so that what codes of activations win is not lost by codes of weights. T is the widest reach:
 * a bound above it (ReLU6) stays one.
 */
function factors(graph: Graph, { consumers, channels }: ChannelGroup, reach: Float64Array): Float64Array {
  const widest = reach.reduce((most, r) => Math.max(most, r), 0);
  const free = consumers.every((node) => isDepthwise(graph, node));
  return Float64Array.from({ length: channels }, (_, c) => {
    const stretch = reach[c]! === 0 ? 1 : Math.min(widest / reach[c]!, mostStretch);
    return free ? stretch : Math.sqrt(stretch);
  });
}

/**
 * The same network with its channels stretched to a common reach. Float-equal up to rounding wherever no channel behind an upper bound
 * exceeds the reach that is given here times bound / widest reach; beyond, it saturates, as its codes would.
 *
 * @param reach largest magnitude by channel, of those values that become codes; groups without any stay as they are
 */
export function equalizeChannels(graph: Graph, reach: ReadonlyMap<string, ArrayLike<number>>): Graph {
  const changed = new Map<string, Tensor>();
  /** @param axis where the channels are */
  const scale = (name: string | undefined, axis: number, factor: (channel: number) => number): void => {
    const tensor = name ? (changed.get(name) ?? graph.constants.get(name)) : undefined;
    if (!tensor) return;
    const inner = tensor.dims.slice(axis + 1).reduce((product, d) => product * d, 1);
    const channels = tensor.dims[axis]!;
    const data = (tensor.data as Float32Array).map((x, i) => x * factor(Math.floor(i / inner) % channels));
    changed.set(name!, { ...tensor, data });
  };
  for (const group of channelGroups(graph)) {
    const known = group.values.map((value) => reach.get(value)).filter((each) => each !== undefined);
    if (known.length === 0 || !ownConstants(graph, group)) continue;
    const most = Float64Array.from({ length: group.channels }, (_, c) => Math.max(...known.map((each) => each[c]!)));
    const s = factors(graph, group, most);
    for (const { inputs } of group.producers) for (const name of inputs.slice(1)) scale(name, 0, (c) => s[c]!);
    for (const node of group.consumers) scale(node.inputs[1], isDepthwise(graph, node) ? 0 : 1, (c) => 1 / s[c]!);
  }
  return withConstants(graph, changed);
}

/** Weights and biases that no other node reads: two layers that share a tensor would be scaled twice. */
function ownConstants(graph: Graph, { producers, consumers }: ChannelGroup): boolean {
  const names = [...producers.flatMap(({ inputs }) => inputs.slice(1)), ...consumers.map(({ inputs }) => inputs[1]!)].filter(
    (name) => name,
  );
  const readsOf = (name: string): number => graph.nodes.filter((node) => node.inputs.includes(name)).length;
  return names.every((name) => readsOf(name) === 1);
}
