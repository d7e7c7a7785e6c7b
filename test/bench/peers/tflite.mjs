// An integer program as a TensorFlow Lite file, for engines that read those: the same weights, scales and zero points, int8 throughout.
// Field numbers are those of tensorflow/lite/schema/schema.fbs, version 3. Padding is SAME: at stride 2 windows begin one pixel further
// right and down than a padding of one on every side makes them, which changes answers, but not the work.
import { Builder } from "flatbuffers";

const types = { int32: 2, uint8: 3, int8: 9 };
const operators = { add: 0, conv: 3, depthwise: 4, maxpool: 17, mean: 40, quantize: 114 };
/** Of the union of their options; a requantization has none. */
const options = { conv: 1, depthwise: 2, maxpool: 5, add: 11, mean: 27, quantize: 0 };
const same = 0;
const valid = 1;

/** [C, H, W] or [C] as [1, H, W, C]. */
function shapeOf({ dims }) {
  const [channels, height = 1, width = 1] = dims;
  return [1, height, width, channels];
}

/** @param plan a convolutional network, lowered with `residual: "codes"` */
export function toTflite(plan) {
  const file = new File(plan);
  const inputs = plan.inputs.map((value) => file.outside(value));
  for (const [i, value] of plan.inputs.entries()) file.requantize(inputs[i], file.ofValue[value]);
  for (const step of plan.steps) file.step(step);
  const outputs = plan.outputs.map((value) => file.outside(value));
  for (const [i, value] of plan.outputs.entries()) file.requantize(file.ofValue[value], outputs[i]);
  return file.finish(inputs, outputs);
}

class File {
  constructor(plan) {
    this.plan = plan;
    this.buffers = [new Uint8Array(0)];
    this.tensors = [];
    this.operations = [];
    this.ofValue = plan.values.map((value) => this.tensor(value.name, shapeOf(value), value.type === "int32" ? this.answer(value) : value));
  }

  /** Accumulators leave as codes here: TensorFlow Lite has no convolution with 32-bit results. */
  answer(value) {
    const step = this.plan.steps.find(({ output }) => this.plan.values[output] === value);
    const largest = Math.max(...step.accumulator.map(Math.abs));
    return { type: "int8", scale: [(Math.max(...value.scale) * largest) / 127], zeroPoint: 0 };
  }

  tensor(name, shape, { type, scale, zeroPoint }, data, axis = 0) {
    const buffer = data ? this.buffers.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) - 1 : 0;
    return this.tensors.push({ name, shape, type, scale, zeroPoint, axis, buffer }) - 1;
  }

  /** LiteRT.js takes and gives unsigned bytes only. */
  outside(value) {
    const { name, shape, scale, zeroPoint } = this.tensors[this.ofValue[value]];
    return this.tensor(`${name} bytes`, shape, { type: "uint8", scale, zeroPoint: zeroPoint + 128 });
  }

  requantize(from, to) {
    this.operations.push({ kind: "quantize", inputs: [from], output: to });
  }

  step(step) {
    if (step.kernel === "copy") return this.flatten(step);
    const inputs = step.inputs ?? [step.input];
    const [kind, constants, fields] = this[step.kernel](step);
    this.operations.push({
      kind,
      fields,
      inputs: [...inputs.map((i) => this.ofValue[i]), ...constants],
      output: this.ofValue[step.output],
    });
  }

  /** One pixel of channels is the same tensor in four dims. */
  flatten({ input, output }) {
    const [from, to] = [input, output].map((i) => `${shapeOf(this.plan.values[i])}`);
    if (from !== to) throw new Error(`a copy from ${from} to ${to} has no form in this file`);
    this.ofValue[output] = this.ofValue[input];
  }

  add() {
    return ["add", [], [["int8", 0]]];
  }

  maxpool({ window, stride, pads }) {
    const padding = pads.some((p) => p > 0) ? same : valid;
    return ["maxpool", [], [["int8", padding], ...[stride[1], stride[0], window[1], window[0]].map((n) => ["int32", n])]];
  }

  /** Of whole images: an average pool could not change the scale there. */
  avgpool({ window, input }) {
    const [, height, width] = shapeOf(this.plan.values[input]);
    if (window[0] !== height || window[1] !== width) throw new Error("a pool of parts of an image has no form in this file");
    const axes = this.tensor("height and width", [2], { type: "int32", scale: [], zeroPoint: 0 }, Int32Array.of(1, 2));
    return ["mean", [axes], [["int8", 1]]];
  }

  conv(step) {
    const { values, tensors } = this.plan;
    const [input, output] = [values[step.input], values[step.output]];
    if (step.epilogue.kind === "residual" || step.codes) throw new Error("residuals and packed weights have no form in this file");
    const outputs = output.dims[0];
    const [height, width] = step.window;
    const depthwise = step.groups > 1;
    const weights = tensors.get(step.weights);
    const taps = weights.length / outputs;
    const scale = Float32Array.from({ length: outputs }, (_, o) => this.weightScale(step, input, output, o));
    // The plan's bias has the input's zero point folded in.
    const bias = tensors
      .get(step.bias)
      .map((b, o) => b + input.zeroPoint * weights.subarray(o * taps, (o + 1) * taps).reduce((sum, w) => sum + w, 0));
    const data = depthwise ? weights.map((_, i) => weights[(i % outputs) * taps + Math.floor(i / outputs)]) : weights;
    const shape = depthwise ? [1, height, width, outputs] : [outputs, height, width, taps / height / width];
    const name = step.nodes[0];
    const constants = [
      this.tensor(`${name} weights`, shape, { type: "int8", scale, zeroPoint: 0 }, data, depthwise ? 3 : 0),
      this.tensor(`${name} bias`, [outputs], { type: "int32", scale: scale.map((s) => s * input.scale[0]), zeroPoint: 0 }, bias),
    ];
    const strides = [step.stride[1], step.stride[0]].map((n) => ["int32", n]);
    const padding = ["int8", step.pads.some((p) => p > 0) ? same : valid];
    // Clamps at code −128 are the saturation of int8: no activation needs to be named.
    const fields = depthwise ? [padding, ...strides, ["int32", 1]] : [padding, ...strides];
    return [depthwise ? "depthwise" : "conv", constants, fields];
  }

  weightScale({ epilogue }, input, output, channel) {
    if (epilogue.kind === "accumulator") return output.scale[output.scale.length === 1 ? 0 : channel] / input.scale[0];
    const { tensors } = this.plan;
    const multiplier = tensors.get(epilogue.multiplier)[channel] * 2 ** (tensors.get(epilogue.shift)[channel] - 31);
    return (multiplier * output.scale[0]) / input.scale[0] || 1e-6;
  }

  finish(inputs, outputs) {
    const b = new Builder(1 << 20);
    const table = (fields) => {
      b.startObject(fields.length);
      fields.forEach((field, i) => {
        if (field === undefined) return;
        const [type, value] = field;
        if (type === "offset") b.addFieldOffset(i, value, 0);
        else if (type === "int8") b.addFieldInt8(i, value, 0);
        else b.addFieldInt32(i, value, 0);
      });
      return b.endObject();
    };
    const vector = (bytes, list, add) => {
      b.startVector(bytes, list.length, bytes);
      for (let i = list.length - 1; i >= 0; i--) add(list[i]);
      return ["offset", b.endVector()];
    };
    const ints = (list) => vector(4, list, (n) => b.addInt32(n));
    const floats = (list) => vector(4, list, (n) => b.addFloat32(n));
    const longs = (list) => vector(8, list, (n) => b.addInt64(BigInt(n)));
    const tables = (list) => vector(4, list, (offset) => b.addOffset(offset));
    const text = (string) => ["offset", b.createString(string)];

    const buffers = this.buffers.map((data) => {
      if (data.length === 0) return table([]);
      b.startVector(1, data.length, 16);
      b.space -= data.length;
      b.dataBuffer().bytes().set(data, b.space);
      return table([["offset", b.endVector()]]);
    });
    const kinds = [...new Set(this.operations.map(({ kind }) => kind))];
    const codes = kinds.map((kind) => table([["int8", operators[kind]], undefined, ["int32", 3], ["int32", operators[kind]]]));
    const tensors = this.tensors.map(({ name, shape, type, scale, zeroPoint, axis, buffer }) => {
      const scales = floats([...scale]);
      const zeros = longs([...scale].map(() => zeroPoint));
      const quantization = ["offset", table([undefined, undefined, scales, zeros, undefined, undefined, ["int32", axis]])];
      return table([ints(shape), ["int8", types[type]], ["int32", buffer], text(name), quantization]);
    });
    const operations = this.operations.map(({ kind, fields, inputs, output }) => {
      const [of, to] = [ints(inputs), ints([output])];
      const own = fields && ["offset", table(fields)];
      return table([["int32", kinds.indexOf(kind)], of, to, ["int8", options[kind]], own]);
    });
    const graph = table([tables(tensors), ints(inputs), ints(outputs), tables(operations), text("main")]);
    b.finish(table([["int32", 3], tables(codes), tables([graph]), text("int8"), tables(buffers)]), "TFL3");
    return b.asUint8Array();
  }
}
