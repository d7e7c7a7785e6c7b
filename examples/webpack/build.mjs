// webpack finds kernels and worker by their `new URL(…, import.meta.url)`: nothing to configure but modules as output.
import { copyFileSync } from "node:fs";
import webpack from "webpack";

const stats = await new Promise((resolve, reject) => {
  webpack(
    { mode: "production", entry: "./main.js", experiments: { outputModule: true }, output: { module: true, filename: "main.js", clean: true } },
    (error, result) => (error ? reject(error) : resolve(result)),
  );
});
if (stats.hasErrors()) throw new Error(stats.toString());
copyFileSync("index.html", "dist/index.html");
