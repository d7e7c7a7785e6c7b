export default {
  base: "./",
  // In `vite dev`: pre-bundling would take runtime.js away from the kernels that lie beside it.
  optimizeDeps: { exclude: ["halftone"] },
};
