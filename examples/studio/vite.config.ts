import { defineConfig, type Plugin } from "vite";

/** Nothing leaves the page: it may fetch its own files and run WebAssembly, and that is all. */
const policy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "style-src 'self'",
  "font-src 'self'",
  "img-src 'self' blob: data:",
  "connect-src 'self' data:", // kernels are data: addresses inside the scripts
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** In the page for any server; `vite preview` also sends it as a header, which workers obey too. The dev server needs more freedom. */
const contentSecurityPolicy: Plugin = {
  name: "content-security-policy",
  apply: "build",
  transformIndexHtml: () => [
    { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: policy }, injectTo: "head-prepend" },
  ],
};

export default defineConfig({
  base: "./",
  plugins: [contentSecurityPolicy],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2023",
    modulePreload: false,
    // Kernels travel inside the scripts: once these are loaded, nothing is fetched any more.
    assetsInlineLimit: (file) => file.endsWith(".wasm"),
    chunkSizeWarningLimit: 2000,
  },
  worker: { format: "es" },
  resolve: { dedupe: ["comlink"] },
  optimizeDeps: { exclude: ["halftone"] },
  server: { fs: { allow: ["../.."] } },
  preview: {
    headers: {
      "content-security-policy": `${policy}; frame-ancestors 'none'`,
      "referrer-policy": "no-referrer",
      // Lets the workers share memory; without these two the bytes are the same, later.
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    },
  },
});
