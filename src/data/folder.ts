import { HalftoneError } from "../errors.ts";
import { parseCsv } from "./csv.ts";
import { byName, type FileEntry, type Files, joinPath, unreadable } from "./files.ts";
import { checkLabel } from "./labels.ts";
import type { Dataset, RawSample, SampleFormat } from "./types.ts";

const formats: Readonly<Record<string, SampleFormat>> = {
  ".jpg": { kind: "jpeg" },
  ".jpeg": { kind: "jpeg" },
  ".png": { kind: "png" },
};

/** Pictures we cannot decode: better refused by name than left out in silence. */
const foreign: ReadonlySet<string> = new Set([".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".jp2", ".jxl", ".ppm"]);

interface Item {
  readonly path: string;
  readonly format: SampleFormat;
  readonly label: number;
}

function extension(name: string): string {
  const dot = name.lastIndexOf(".");
  return dot < 0 ? "" : name.slice(dot).toLowerCase();
}

/** Image names of a listing, sorted; hidden files and other kinds of file (README, checksums) are left out. */
function imageNames(entries: readonly FileEntry[], folder: string): string[] {
  const files = entries.filter((entry) => entry.kind === "file" && !entry.name.startsWith("."));
  const wrong = files.find((entry) => foreign.has(extension(entry.name)));
  if (wrong)
    throw new HalftoneError(
      "DATA_MALFORMED",
      joinPath(folder, wrong.name),
      `an image of kind ${extension(wrong.name)}`,
      ".jpg, .jpeg or .png",
      "Convert it, or move it out of the folder.",
    );
  return files
    .map((entry) => entry.name)
    .filter((name) => extension(name) in formats)
    .sort(byName);
}

const formatOf = (name: string): SampleFormat => formats[extension(name)]!;

/**
 * A folder of JPEG and PNG images: class sub-folders (sorted by name, class = position), or a `metadata.csv` with the columns
 * `file_name,label`, or images alone (no labels). Only names are held; an image is read when asked for.
 */
export async function openFolder(path: string, files: Files, labelOffset: number): Promise<Dataset> {
  const entries = (await files.list(path)).filter((entry) => !entry.name.startsWith("."));
  if (entries.some((entry) => entry.name === "metadata.csv")) return dataset(path, files, await fromMetadata(path, files, labelOffset));

  const folders = entries.filter((entry) => entry.kind === "folder").map((entry) => entry.name);
  const loose = imageNames(entries, path);
  if (folders.length > 0 && loose.length > 0)
    throw new HalftoneError(
      "DATA_MALFORMED",
      path,
      `${folders.length} sub-folders and ${loose.length} loose images (such as '${loose[0]}')`,
      "either class sub-folders or images alone",
      "Move the loose images into their class folders, or add a metadata.csv with file_name,label.",
    );
  if (loose.length > 0) {
    const items = loose.map((name) => ({ path: joinPath(path, name), format: formatOf(name), label: -1 }));
    return dataset(path, files, items);
  }
  const items: Item[] = [];
  const classes = folders.sort(byName);
  for (const [index, name] of classes.entries()) {
    const folder = joinPath(path, name);
    for (const image of imageNames(await files.list(folder), folder))
      items.push({ path: joinPath(folder, image), format: formatOf(image), label: checkLabel(index, labelOffset, folder) });
  }
  if (items.length === 0)
    throw new HalftoneError("DATA_EMPTY", path, "no images", "JPEG or PNG files, in class sub-folders or beside a metadata.csv");
  return dataset(path, files, items, labelOffset === 0 ? classes : undefined);
}

/** Rows of metadata.csv, which must name every image of the folder, and only images that exist. */
async function fromMetadata(folder: string, files: Files, labelOffset: number): Promise<Item[]> {
  const place = joinPath(folder, "metadata.csv");
  const { rows, lines } = parseCsv(new TextDecoder().decode(await files.read(place)), place);
  const header = (rows[0] ?? []).map((name) => name.trim());
  const nameColumn = header.indexOf("file_name");
  const labelColumn = header.indexOf("label");
  if (nameColumn < 0)
    throw new HalftoneError("DATA_MALFORMED", `${place} line 1`, `columns '${header.join(",")}'`, "a column 'file_name' (and 'label')");

  const listed = new Map<string, Set<string>>();
  const imagesIn = async (sub: string): Promise<Set<string>> => {
    const known = listed.get(sub);
    if (known) return known;
    const path = sub === "" ? folder : joinPath(folder, sub);
    const stat = await files.stat(path);
    const names = new Set(stat?.kind === "folder" ? imageNames(await files.list(path), path) : []);
    listed.set(sub, names);
    return names;
  };
  await imagesIn("");

  const seen = new Set<string>();
  const items: Item[] = [];
  for (let i = 1; i < rows.length; i++) {
    const row = rows[i]!;
    const where = `${place} line ${lines[i]}`;
    if (row.length !== header.length)
      throw new HalftoneError("DATA_MALFORMED", where, `${row.length} fields`, `${header.length}, as in the header`);
    const name = row[nameColumn]!.trim();
    const parts = name.split("/");
    if (name === "" || parts.some((part) => part === "" || part === "." || part === ".."))
      throw new HalftoneError("DATA_MALFORMED", where, `file name '${name}'`, "a path inside the folder");
    if (!(extension(name) in formats)) throw new HalftoneError("DATA_MALFORMED", where, `file '${name}'`, "a .jpg, .jpeg or .png");
    if (seen.has(name)) throw new HalftoneError("DATA_MALFORMED", where, `'${name}' a second time`, "one row for each image");
    if (!(await imagesIn(parts.slice(0, -1).join("/"))).has(parts.at(-1)!))
      throw new HalftoneError("DATA_MISMATCH", where, `'${name}', which is not in the folder`, "the name of an image in the folder");
    seen.add(name);
    items.push({
      path: joinPath(folder, name),
      format: formatOf(name),
      label: labelColumn < 0 ? -1 : readLabel(row[labelColumn]!, labelOffset, where),
    });
  }
  for (const [sub, names] of listed)
    for (const name of names) {
      const path = sub === "" ? name : joinPath(sub, name);
      if (!seen.has(path))
        throw new HalftoneError(
          "DATA_MISMATCH",
          place,
          `no row for image '${path}'`,
          "one row for each image",
          "Add its row, or move the image away.",
        );
    }
  if (items.length === 0) throw new HalftoneError("DATA_EMPTY", place, "no rows", "one row for each image");
  return items;
}

function readLabel(text: string, offset: number, place: string): number {
  const trimmed = text.trim();
  if (!/^[+-]?\d{1,9}$/.test(trimmed))
    throw new HalftoneError("LABEL_RANGE", place, `label '${text}'`, "an integer class index", "Map class names to 0, 1, 2 … first.");
  return checkLabel(Number(trimmed), offset, place);
}

function dataset(name: string, files: Files, items: readonly Item[], classes?: readonly string[]): Dataset {
  return {
    name,
    length: items.length,
    classes,
    labelled: items.every((item) => item.label >= 0),
    async read(start, end) {
      const samples: RawSample[] = [];
      for (const { path, format, label } of items.slice(start, end)) {
        const bytes = await files.read(path).catch((error: unknown) => {
          throw error instanceof HalftoneError ? error : unreadable(path, String(error));
        });
        samples.push({ place: path, bytes, format, label });
      }
      return samples;
    },
  };
}
