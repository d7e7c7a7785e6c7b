// ONNX Runtime Web as its users in Node load it: the WebAssembly provider, one thread.
import * as module from "onnxruntime-web";

const ort = module.default ?? module;
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";
export default ort;
