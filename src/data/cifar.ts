import { HalftoneError } from "../errors.ts";
import type { ByteSource } from "./files.ts";
import { checkLabel } from "./labels.ts";
import type { Dataset } from "./types.ts";

const dims = [3, 32, 32] as const;
const recordBytes: number = 1 + 3 * 32 * 32;

/**
 * A CIFAR-10 binary batch: records of one label byte (0…9) and 3 × 32 × 32 bytes, red plane first, each row-major.
 * @source www.cs.toronto.edu/~kriz/cifar.html, "Binary version"
 */
export function openCifar(source: ByteSource, labelOffset: number): Dataset {
  if (source.size === 0) throw new HalftoneError("DATA_EMPTY", source.place, "0 bytes", `records of ${recordBytes} bytes`);
  if (source.size % recordBytes !== 0)
    throw new HalftoneError(
      "DATA_MALFORMED",
      source.place,
      `${source.size} bytes, ${source.size % recordBytes} more than whole records`,
      `a multiple of ${recordBytes} bytes (1 label and 3 × 32 × 32 pixels)`,
      "The file is cut off, or is not a CIFAR-10 binary batch.",
    );
  return {
    name: source.place,
    length: source.size / recordBytes,
    labelled: true,
    async read(start, end) {
      const bytes = await source.read(start * recordBytes, end * recordBytes);
      return Array.from({ length: end - start }, (_, i) => {
        const place = `${source.place} record ${start + i}`;
        const label = bytes[i * recordBytes]!;
        if (label > 9) throw new HalftoneError("LABEL_RANGE", place, `label ${label}`, "0…9, as CIFAR-10 has ten classes");
        return {
          place,
          bytes: bytes.slice(i * recordBytes + 1, (i + 1) * recordBytes),
          format: { kind: "planes", dims },
          label: checkLabel(label, labelOffset, place),
        };
      });
    },
  };
}
