import { createSession } from "halftone/runtime";

// A page that is cross-origin isolated gets two threads, any other one; the integers are the same.
const session = await createSession(new URL("model.halftone", document.baseURI), { threads: 2 });
const proved = session.verify();

// Any ImageData of the model's size: from a canvas, a video frame, a file.
const [input] = session.plan.inputs.map((i) => session.plan.values[i]);
const [, height, width] = input.dims;
const image = new ImageData(width, height);
for (let i = 0; i < image.data.length; i++) image.data[i] = (i * 37) % 256;

const [output] = Object.values(session.run(image));
const best = output.values.indexOf(Math.max(...output.values));
document.body.textContent = JSON.stringify({
  label: session.plan.labels?.[best] ?? best,
  codes: Array.from(output.codes),
  threads: session.threads,
  proved,
});
