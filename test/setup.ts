import fc from "fast-check";

// Property tests draw the same cases every time; HALFTONE_SEED draws others.
fc.configureGlobal({ seed: Number(process.env.HALFTONE_SEED ?? 1) });
