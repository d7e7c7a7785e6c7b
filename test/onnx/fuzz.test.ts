import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { HalftoneError } from "../../src/errors.ts";
import { prepare } from "../../src/graph/prepare.ts";
import { ModelProtoSchema } from "../../src/onnx/onnx_pb.ts";
import { readModel } from "../../src/onnx/read.ts";
import { writeModel } from "../../src/onnx/write.ts";
import { float32, graphOf, int64s, node, randomTensor } from "../graph/build.ts";

const rounds = Number(process.env.HALFTONE_FUZZ ?? 20_000);

/** Integers in [0, n) that depend on the seed alone. */
function integers(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

/** Shape arithmetic, windows, reductions, and whatever else reads its inputs before it runs. */
function mixedModel(): Uint8Array {
  const graph = graphOf(
    { x: ["N", 4, 8, 8] },
    [
      node("s = Shape(x)"),
      node("n = Gather(s, zero)", { axis: 0 }),
      node("n1 = Unsqueeze(n, axis0)"),
      node("target = Concat(n1, rest)", { axis: 0 }),
      node("p = Pad(x, pads)", { mode: "constant" }),
      node("c = Conv(p, w)", { kernel_shape: [3, 3], strides: [2, 2] }),
      node("a = AveragePool(c)", { kernel_shape: [2, 2], strides: [1, 1], auto_pad: "SAME_UPPER" }),
      node("u = Resize(a,,scales)", { mode: "nearest" }),
      node("v = Slice(u, starts, ends, axes)"),
      node("t = Transpose(v)", { perm: [0, 2, 3, 1] }),
      node("left, right = Split(t, parts)", { axis: 3 }),
      node("m = Mul(left, right)"),
      node("r = ReduceMean(m, axis1)", { keepdims: 0 }),
      node("f = Reshape(r, target)", { allowzero: 0 }),
      node("z = ConstantOfShape(target)", { value: float32([1], [2]) }),
      node("e = Expand(one, s)"),
      node("q = Tile(one, target)"),
      node("k = Range(from, to, by)"),
      node("y = Add(f, z)"),
    ],
    {
      zero: { ...int64s([0]), dims: [] },
      from: { ...int64s([0]), dims: [] },
      to: { ...int64s([9]), dims: [] },
      by: { ...int64s([1]), dims: [] },
      axis0: int64s([0]),
      axis1: int64s([1]),
      rest: int64s([8]),
      pads: int64s([0, 0, 1, 1, 0, 0, 1, 1]),
      w: randomTensor([4, 4, 3, 3], 1),
      scales: float32([4], [1, 1, 2, 2]),
      starts: int64s([0, 0]),
      ends: int64s([4, 4]),
      axes: int64s([2, 3]),
      parts: int64s([2, 2]),
      one: float32([1, 1], [1]),
    },
    ["y", "e", "q", "k"],
  );
  return writeModel(graph);
}

function seeds(): Uint8Array[] {
  const fixtures = new URL("../fixtures/", import.meta.url);
  const cases = readdirSync(new URL("node/", fixtures)).toSorted();
  return [
    mixedModel(),
    new Uint8Array(readFileSync(new URL("tiny.onnx", fixtures))),
    ...cases.map((name) => new Uint8Array(readFileSync(new URL(`node/${name}/model.onnx`, fixtures)))),
  ];
}

const interesting = [0x00, 0x01, 0x7f, 0x80, 0xff];

/** One to four wounds: flipped bits, odd bytes, inflated lengths, cuts, and pieces of itself or of another model. */
function mutateBytes(bytes: Uint8Array, donor: Uint8Array, below: (n: number) => number): Uint8Array {
  let mutant = bytes.slice();
  for (let wounds = 1 + below(4); wounds > 0 && mutant.length > 0; wounds--) {
    const at = below(mutant.length);
    const kind = below(6);
    if (kind === 0) mutant[at]! ^= 1 << below(8);
    else if (kind === 1) mutant[at] = interesting[below(interesting.length)]!;
    else if (kind === 2) mutant.fill(0xff, at, at + 1 + below(9));
    else if (kind === 3) mutant = mutant.slice(0, at);
    else {
      const from = kind === 4 ? donor : mutant;
      const start = below(from.length);
      const piece = from.subarray(start, start + 1 + below(64));
      mutant = Uint8Array.from([...mutant.subarray(0, at), ...piece, ...mutant.subarray(kind === 4 ? at : at + piece.length)]);
    }
  }
  return mutant;
}

type Slot = { readonly holder: Record<string, unknown>; readonly key: string };

/** Every field and list element of a decoded model that holds a number, a string or a list. */
function slotsOf(value: object, found: Slot[] = []): Slot[] {
  for (const [key, each] of Object.entries(value)) {
    if (key === "$typeName" || key === "case") continue;
    found.push({ holder: value as Record<string, unknown>, key });
    if (typeof each === "object" && each !== null && !(each instanceof Uint8Array)) slotsOf(each, found);
  }
  return found;
}

const oddNumbers = [
  -(2n ** 63n),
  -(2n ** 31n),
  -4n,
  -1n,
  0n,
  1n,
  2n,
  3n,
  5n,
  7n,
  16n,
  255n,
  2n ** 31n - 1n,
  2n ** 32n,
  2n ** 62n,
  2n ** 63n - 1n,
];

/** A model that decodes, with one to three fields that say something else. */
function mutateFields(bytes: Uint8Array, below: (n: number) => number): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  const slots = slotsOf(model.graph!);
  for (let wounds = 1 + below(3); wounds > 0; wounds--) {
    const { holder, key } = slots[below(slots.length)]!;
    const value = holder[key];
    const odd = oddNumbers[below(oddNumbers.length)]!;
    if (typeof value === "bigint") holder[key] = odd;
    else if (typeof value === "number") holder[key] = Number(BigInt.asIntN(32, odd));
    else if (typeof value === "string") {
      const strings = slots.map((slot) => slot.holder[slot.key]).filter((each) => typeof each === "string");
      holder[key] = strings[below(strings.length)];
    } else if (value instanceof Uint8Array) holder[key] = mutateBytes(value, bytes, below);
    else if (Array.isArray(value) && value.length > 0) {
      const at = below(value.length);
      if (below(2) === 0) value.splice(at, 1);
      else value.splice(at, 0, value[below(value.length)]);
    }
  }
  return toBinary(ModelProtoSchema, model);
}

test(`${rounds} damaged models are read or refused with one sentence`, { timeout: 120_000 * Math.max(1, rounds / 20_000) }, () => {
  const models = seeds();
  const outcomes = { read: 0, refused: 0 };
  let slowest = 0;
  for (let seed = 0; seed < rounds; seed++) {
    const below = integers(seed * 2654435761);
    // The large model costs most of the time and exercises little: it gets a small share, the mixed one a large one.
    const model = [models[below(models.length)]!, models[0]!, models[2 + below(models.length - 2)]!][below(3)]!;
    const mutant = below(2) === 0 ? mutateFields(model, below) : mutateBytes(model, models[below(models.length)]!, below);
    const start = performance.now();
    try {
      prepare(readModel(mutant));
      outcomes.read++;
    } catch (error) {
      if (!(error instanceof HalftoneError)) throw new Error(`seed ${seed}: ${error instanceof Error ? error.stack : error}`);
      expect(error.message.length).toBeLessThan(5_000);
      outcomes.refused++;
    }
    slowest = Math.max(slowest, performance.now() - start);
  }
  // Both ends of the scale were visited, and nothing hung.
  expect(outcomes.read).toBeGreaterThan(rounds / 10);
  expect(outcomes.refused).toBeGreaterThan(rounds / 10);
  expect(slowest).toBeLessThan(10_000);
});
