// A server that classifies posted pictures, their bytes as they are:   bun serve.ts MODEL.halftone [PORT]
//   curl --data-binary @picture.raw localhost:3000
import { createSession, HalftoneError } from "halftone/runtime";

const [path, port = "3000"] = Bun.argv.slice(2);
const session = await createSession(path);
const { labels } = session.plan;

const server = Bun.serve({
  port: Number(port),
  async fetch(request) {
    if (request.method !== "POST") return new Response("POST a picture.\n", { status: 405 });
    try {
      const picture = new Uint8Array(await request.arrayBuffer());
      const [{ values }] = Object.values(session.run(picture));
      const best = values.indexOf(Math.max(...values));
      return Response.json({ label: labels?.[best] ?? best, logit: values[best] });
    } catch (error) {
      if (error instanceof HalftoneError) return Response.json(error.toData(), { status: 400 });
      throw error;
    }
  },
});
console.log(`${session.verify()} golden inputs proved, listening on ${server.url}`);
