/** Of this package. What is kept of one version is not taken for the work of another. */
export const version = "0.1.0";
