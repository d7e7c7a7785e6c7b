import { HalftoneError } from "../errors.ts";
import { openArchive, openArrays } from "./arrays.ts";
import { openCifar } from "./cifar.ts";
import { type ByteSource, type Files, fileSource, unreadable } from "./files.ts";
import { openFolder } from "./folder.ts";
import { openIdx } from "./idx.ts";
import type { Dataset } from "./types.ts";

/** How a data set is opened. */
export interface DatasetOptions {
  /** Added to every stored label: 1-based labels need −1. */
  readonly labelOffset?: number | undefined;
}

interface FileFormat {
  readonly what: string;
  readonly pattern: RegExp;
  /** Whether a second file, after a comma, holds the labels. */
  readonly pair: boolean;
  open(x: ByteSource, y: ByteSource | undefined, labelOffset: number): Promise<Dataset> | Dataset;
}

/** Which reader a file name calls for. */
const fileFormats: readonly FileFormat[] = [
  { what: "a CIFAR-10 batch (.bin)", pattern: /\.bin$/i, pair: false, open: (x, _, offset) => openCifar(x, offset) },
  { what: "IMAGES,LABELS in IDX (…-ubyte, .idx, each may be .gz)", pattern: /(ubyte|\.idx\d?)(\.gz)?$/i, pair: true, open: openIdx },
  { what: "X.npy[,Y.npy]", pattern: /\.npy$/i, pair: true, open: openArrays },
  { what: "an .npz archive with x and y", pattern: /\.npz$/i, pair: false, open: (x, _, offset) => openArchive(x, offset) },
];

/**
 * Opens a data set by its path: a folder of images, or one of `fileFormats`. Nothing but names and headers is held; gzip and npz
 * files are inflated once and kept.
 *
 * @throws HalftoneError FILE_UNREADABLE, DATA_MALFORMED, DATA_EMPTY, DATA_MISMATCH, LABEL_RANGE
 */
export async function openDataset(path: string, files: Files, options: DatasetOptions = {}): Promise<Dataset> {
  const labelOffset = options.labelOffset ?? 0;
  if (!Number.isInteger(labelOffset)) throw new HalftoneError("OPTION_INVALID", "--label-offset", String(labelOffset), "an integer");
  const stat = await files.stat(path);
  if (stat?.kind === "folder") return openFolder(path, files, labelOffset);

  const parts = stat ? [path] : path.split(",");
  const format = fileFormats.find(({ pattern }) => pattern.test(parts[0]!));
  if (!stat && !(await files.stat(parts[0]!))) throw unreadable(parts[0]!, "nothing");
  if (!format) {
    const expected = `a folder of images, ${fileFormats.map(({ what }) => what).join(", ")}`;
    throw new HalftoneError("DATA_MALFORMED", path, "a file of another kind, by its name", expected);
  }
  if (parts.length > (format.pair ? 2 : 1)) throw new HalftoneError("DATA_MALFORMED", path, `${parts.length} files`, format.what);
  const [x, y] = await Promise.all(parts.map((part) => fileSource(part, files)));
  return format.open(x!, y, labelOffset);
}
