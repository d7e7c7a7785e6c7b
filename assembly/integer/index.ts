// integer.wasm: raw functions over byte addresses in linear memory, without imports and without a floating-point instruction.
export { gemm, gemmPairs, gemv } from "./gemm";
export { gemmBits, packBits } from "./bits";
export { decode } from "./codes";
export { gemvLinear, gemvSums, gemvTable, partialSums } from "./gemvcodes";
export { border, patches, widen, widenFours, widenPairs } from "./patches";
export { depthwise, depthwise3x3, depthwise3x3Strided } from "./depthwise";
export { clampCodes, requantizeAny, requantizeEven, requantizeSingle } from "./requantize";
export { residualAccumulators, residualAny, residualCodes, storeAccumulators } from "./residual";
export { add, lookup, mul, splat } from "./elementwise";
export { maxpool, sumpool } from "./pool";
export { copyCodes, copyRuns, copyWords, fillCodes, fillWords } from "./copy";
export { packColumns, packRows } from "./matmul";
export { layernorm } from "./norm";
export { softmax } from "./softmax";
export { stem, transformStem } from "./stem";
export { strided, transformStrided } from "./strided";
export { products, transformInput4, transformWeights4, winograd4 } from "./winograd";
export { transformInput2, transformWeights2, winograd2 } from "./winograd2";

/** First byte that no static data uses: where the host may begin to place things. */
export function heapBase(): usize {
  return __heap_base;
}
