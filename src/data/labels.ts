import { HalftoneError } from "../errors.ts";

/**
 * Stored label + offset.
 * @throws HalftoneError LABEL_RANGE for a label that is no integer or becomes negative
 */
export function checkLabel(stored: number, offset: number, place: string): number {
  if (!Number.isInteger(stored))
    throw new HalftoneError("LABEL_RANGE", place, `label ${stored}`, "an integer class index", "Map class names to 0, 1, 2 … first.");
  const label = stored + offset;
  if (label < 0)
    throw new HalftoneError(
      "LABEL_RANGE",
      place,
      offset === 0 ? `label ${stored}` : `label ${stored} with offset ${offset}`,
      "a class index of at least 0",
      "Shift labels with --label-offset.",
    );
  return label;
}
