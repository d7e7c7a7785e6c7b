// In workerd: ?plan=NAME&runs=N answers with the codes of the last run. Its clock stands still while it computes: the caller has one.
import module from "./integer.wasm";
import { createSession } from "./runtime.js";
import { answer, exampleInput } from "./speed.js";

const sessions = new Map();
async function sessionOf(name, plans) {
  if (!sessions.has(name)) sessions.set(name, await createSession(plans[name], { wasm: module }));
  return sessions.get(name);
}

export default {
  async fetch(request, plans) {
    const query = new URL(request.url).searchParams;
    const session = await sessionOf(query.get("plan"), plans);
    const input = exampleInput(session);
    let codes = [];
    for (let i = 0; i < Number(query.get("runs")); i++) codes = answer(session, input);
    return Response.json(codes);
  },
};
