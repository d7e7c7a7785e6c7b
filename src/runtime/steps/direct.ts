import { plus } from "../program.ts";
import type { Layer } from "./conv.ts";
import { type Image, pixels, roundUp } from "./image.ts";
import type { Producer } from "./producer.ts";
import { mostTile, rowProducts } from "./rows.ts";
import type { WindowShape } from "./windows.ts";

/** Bytes of widened windows per slice: they stay in a 1 MiB second-level cache next to the weights. */
const sliceBytes = 262144;
/** More pixels than this per slice reuse nothing more, and their accumulators leave the first-level cache. */
const slicePixels = 128;

/** Windows as rows of codes times weights as a matrix: any window, stride, dilation and group. */
export function direct(layer: Layer): Producer {
  const { program, kernels, step } = layer;
  const { input, shape, rows, columns } = grid(layer);
  const [kh, kw] = shape.window;
  const ungrouped = step.groups === 1;
  // One group takes whole pixels, padding lanes included (their weights are 0): neighbouring taps are then one run.
  const tap = ungrouped ? input.pitch : layer.inputs;
  const merged = ungrouped && shape.dilation[1] === 1;
  const run = merged ? kw * tap : tap;
  const runs = merged ? 1 : kw;
  const inner = kh * kw * tap;
  // Only a flat grid's pixels lie one behind the other: strides and borders also lead to a single column.
  const pointwise = input !== layer.x && ungrouped;
  const padded = roundUp(inner, 8);

  const wanted = Math.max(8, Math.min(slicePixels, Math.floor(sliceBytes / (padded * 2))));
  const sliceRows = Math.min(rows, Math.max(1, Math.floor(wanted / columns)));
  // A single row goes past the tiles.
  const sliceSize = sliceRows * columns === 1 ? 1 : roundUp(sliceRows * columns, mostTile);
  const panelPitch = sliceSize * 32;
  const products = rowProducts(layer, { tap, inner, rows: sliceSize, panelPitch });
  const codes = pointwise ? undefined : program.scratch(sliceSize * padded);
  return {
    input,
    shape,
    rows,
    columns,
    sliceRows,
    panelBytes: panelPitch,
    pixelsBefore: (r) => r * columns,
    begin: ({ from: first, xStep, yStep, xTap, yTap }, r0, r1) => {
      const from = plus(first, layer.firstInput);
      if (codes) program.call(kernels.patches, from, codes, padded, r1 - r0, columns, xStep, yStep, kh, runs, run, xTap, yTap);
      products.begin(codes ?? from, codes ? padded : tap, (r1 - r0) * columns);
    },
    panels: (_frame, r0, r1, p0, p1, acc) => products.panels((r1 - r0) * columns, p0, p1, acc),
  };
}

interface Grid {
  readonly input: Image;
  readonly shape: WindowShape;
  readonly rows: number;
  readonly columns: number;
}

/** The grid of output pixels; a 1×1 window of stride 1 without border sees the image as one column of pixels. */
function grid({ step, x, y }: Layer): Grid {
  const flat = [...step.window, ...step.stride].every((n) => n === 1) && step.pads.every((n) => n === 0);
  if (!flat) return { input: x, shape: step, rows: y.height, columns: y.width };
  return { input: { ...x, height: pixels(x), width: 1 }, shape: step, rows: pixels(y), columns: 1 };
}
