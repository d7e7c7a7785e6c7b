import { expect, test } from "vitest";
import { checkIntegerForm } from "../src/integer-form.ts";
import { writeModel } from "../src/onnx/write.ts";
import { defaultOptions } from "../src/quantized/options.ts";
import { float32, graphOf, node, randomTensor } from "./graph/build.ts";

const conv = node("a = Conv(x, w)", { kernel_shape: [3, 3] });
const constants = { w: randomTensor([4, 3, 3, 3], 1), huge: float32([], [1e30]) };
const bytes = (...nodes: ReturnType<typeof node>[]): Uint8Array => writeModel(graphOf({ x: ["N", 3, 8, 8] }, [conv, ...nodes], constants));

test("operators without an integer form are named without any sample", async () => {
  const model = writeModel(
    graphOf({ x: ["N", 3, 8, 8] }, [conv, node("b = InstanceNormalization(a, s, s)")], {
      ...constants,
      s: randomTensor([4], 2),
    }),
  );
  await expect(checkIntegerForm(model, defaultOptions)).rejects.toMatchObject({
    code: "NO_INTEGER_FORM",
    place: "InstanceNormalization 'b'",
  });
});

test("a network that has one passes, whatever its ranges will be", async () => {
  await checkIntegerForm(bytes(node("b = Relu(a)")), { ...defaultOptions, weights: 2 });
  await checkIntegerForm(bytes(node("b = Mul(a, huge)")), defaultOptions);
});
