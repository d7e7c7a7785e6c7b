// POST a PNG, get the classes of it. The same handler for every edge runtime: it needs Request, Response and a session.
import { decode } from "fast-png";
import { createSession, HalftoneError } from "halftone/runtime";

/**
 * @param plan bytes of a .halftone file
 * @param kernels integer.wasm: a compiled module, or its bytes where compiling is allowed
 * @returns a handler that makes its session with the first request and keeps it
 */
export function classifier(plan, kernels) {
  let session;
  return async (request) => {
    if (request.method !== "POST") return json(405, { error: "POST a PNG of the model's size." });
    // A broken plan is not the picture's fault: the runtime answers 500.
    const ready = await (session ??= createSession(plan, { wasm: kernels }));
    try {
      return json(200, classes(ready, new Uint8Array(await request.arrayBuffer())));
    } catch (error) {
      if (error instanceof HalftoneError) return json(422, { error: error.message, code: error.code });
      throw error;
    }
  };
}

const json = (status, body) => Response.json(body, { status });

function classes(session, file) {
  const [output] = Object.values(session.run(pixels(file)));
  const best = [...output.values.keys()].sort((a, b) => output.values[b] - output.values[a]).slice(0, 5);
  return { classes: best.map((i) => ({ label: session.plan.labels?.[i] ?? `${i}`, logit: output.values[i] })) };
}

/** RGBA, which a session takes at the model's size. */
function pixels(file) {
  let png;
  try {
    png = decode(file);
  } catch (error) {
    throw new HalftoneError("DATA_MALFORMED", "the request's body", error.message, "a PNG");
  }
  const { width, height, channels, depth } = png;
  if (depth !== 8) throw new HalftoneError("DATA_MALFORMED", "the request's body", `${depth} bits a sample`, "8");
  const grey = channels < 3;
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i++)
    for (let c = 0; c < 3; c++) data[4 * i + c] = png.data[channels * i + (grey ? 0 : c)];
  return { width, height, data };
}
