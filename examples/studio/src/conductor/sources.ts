// What was dropped, told apart by file names.
import type { Dropped } from "../protocol.ts";

export interface Sorted {
  readonly model: string | undefined;
  /** Path for `openDataset`: a folder, or "IMAGES[,LABELS]". */
  readonly data: string | undefined;
  /** Names of the classes, one a line. */
  readonly labels: string | undefined;
  readonly preprocessing: string | undefined;
}

const image = /\.(jpe?g|png|gif|webp|bmp|tiff?|avif|heic)$/i;
const idx = /(ubyte|\.idx\d?)(\.gz)?$/i;
const isLabels = /label|idx1|(^|[/_.-])y([_.-]|$)/i;

/** Names alone decide; the reader of each format checks the rest. */
export function sortFiles(paths: readonly string[]): Sorted {
  const visible = paths.filter((path) => !path.split("/").some((part) => part.startsWith("."))).sort();
  const first = (pattern: RegExp): string | undefined => visible.find((path) => pattern.test(path));
  return {
    model: first(/\.onnx$/i),
    data:
      pair(visible.filter((path) => idx.test(path))) ??
      first(/\.npz$/i) ??
      pair(visible.filter((path) => /\.npy$/i.test(path))) ??
      first(/\.bin$/i) ??
      folder(visible),
    labels: first(/\.txt$/i),
    preprocessing: first(/\.json$/i),
  };
}

function pair(paths: readonly string[]): string | undefined {
  const samples = paths.find((path) => !isLabels.test(nameOf(path))) ?? paths[0];
  if (samples === undefined) return undefined;
  const labels = paths.find((path) => path !== samples && isLabels.test(nameOf(path)));
  return labels === undefined ? samples : `${samples},${labels}`;
}

/** The deepest folder that holds all images, and metadata.csv if there is one. */
function folder(paths: readonly string[]): string | undefined {
  const held = paths.filter((path) => image.test(path) || nameOf(path) === "metadata.csv");
  const [one] = held;
  if (one === undefined) return undefined;
  const parts = one.split("/").slice(0, -1);
  const shared = parts.findIndex((_, depth) => held.some((path) => !path.startsWith(`${parts.slice(0, depth + 1).join("/")}/`)));
  return (shared < 0 ? parts : parts.slice(0, shared)).join("/");
}

export const nameOf = (path: string): string => path.split("/").at(-1) ?? path;

/** The files that a sorted drop needs, under the same paths. */
export function filesBelow(files: Dropped, data: string): Map<string, Blob> {
  const wanted = data.split(",");
  return new Map([...files].filter(([path]) => wanted.some((part) => part === "" || path === part || path.startsWith(`${part}/`))));
}
