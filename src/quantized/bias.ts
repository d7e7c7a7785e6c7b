import { roundHalfEven } from "../formats/rounding.ts";

/** The scale of a bias, as ONNX wants it in a QDQ file: the float32 product of input and weight scale. */
export const biasScale = (input: number, weight: number): number => Math.fround(input * weight);

/** int32 code of a bias. */
export const biasCode = (bias: number, input: number, weight: number): number => roundHalfEven(bias / biasScale(input, weight));

/** Beyond this magnitude a bias leaves too little of int32 for the sum: its channel's weight scale is raised instead. */
export const largestBias: number = 0x40000000;
