import { test } from "vitest";

/** Folder of the large data sets and models; absent in a plain clone. */
export const dataDir: string | undefined = process.env.HALFTONE_DATA || undefined;

/** A test that needs the large data: skipped by name without it. */
export const withData: ReturnType<typeof test.skipIf> = test.skipIf(!dataDir);
