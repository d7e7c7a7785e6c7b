import type { Plan } from "../../src/plan/types.ts";
import { withGolden } from "../../src/runtime/record.ts";
import { Builder, Dice } from "../plan/random.ts";
import { conv } from "../runtime/threads/layers.ts";
import { integerModule } from "../runtime/kernels.ts";

/** A classifier of colour pictures with random weights, large enough that threads share its first layers. */
export async function pictureModel(): Promise<Plan> {
  const builder = new Builder(new Dice(3));
  const picture = builder.value([3, 64, 64]);
  Object.assign(builder.values[picture]!, { name: "picture", pitch: 3, scale: [Math.fround(1 / 64)], zeroPoint: -3 });
  const edges = conv(builder, picture, { outputs: 32, kernel: 3 });
  const parts = conv(builder, edges, { outputs: 64, kernel: 3, stride: 2 });
  const classes = conv(builder, parts, { outputs: 4, kernel: 32, pad: 0, accumulators: true });
  Object.assign(builder.values[classes]!, { name: "classes", scale: [1] });
  const preprocessing = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
  const plan = builder.finish([picture], [classes], { preprocessing, labels: ["cat", "dog", "bird", "fish"] });
  return withGolden(plan, { wasm: await integerModule() });
}
