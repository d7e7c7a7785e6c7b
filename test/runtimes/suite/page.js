// In a page: fetches its job, posts the answer.
import { main } from "./main.js";

const post = (answer) => fetch("/result", { method: "POST", body: JSON.stringify(answer) });
const open = async (name) => new Uint8Array(await (await fetch(`/fixtures/${name}`)).arrayBuffer());
try {
  post(await main(await (await fetch("/job")).json(), open));
} catch (error) {
  post({ error: `${error?.stack ?? error}` });
}
