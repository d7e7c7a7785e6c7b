// workerd on this machine: curl --data-binary @picture.png http://localhost:8787
import { Miniflare } from "miniflare";
import { workerd } from "./runtimes.mjs";

const server = new Miniflare({ ...workerd("dist"), port: 8787 });
console.log(`POST a PNG to ${await server.ready}`);
