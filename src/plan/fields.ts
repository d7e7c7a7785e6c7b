// Readers of single JSON fields. Each takes what was found and where, and gives it back typed, rebuilt in a fixed order, or throws
// PLAN_MALFORMED. The same table of fields reads a program and, run over a plan in memory, puts its keys in order for writing.
import { HalftoneError } from "../errors.ts";

export type Field<T> = (found: unknown, place: string) => T;

export function malformed(place: string, found: string, expected: string, hint?: string): HalftoneError {
  return new HalftoneError("PLAN_MALFORMED", place, found, expected, hint);
}

const longestShown = 60;

/** What was found, short enough for one sentence. */
export function show(found: unknown): string {
  if (found === undefined) return "nothing";
  const text = typeof found === "number" ? String(found) : (JSON.stringify(found) ?? typeof found);
  return text.length > longestShown ? `${text.slice(0, longestShown)}…` : text;
}

export function integer(lo: number, hi: number): Field<number> {
  return (found, place) => {
    if (typeof found === "number" && Number.isInteger(found) && found >= lo && found <= hi) return found + 0;
    throw malformed(place, show(found), `an integer from ${lo} to ${hi}`);
  };
}

/** A finite number inside [lo, hi]. */
export function real(lo: number, hi: number): Field<number> {
  return (found, place) => {
    if (typeof found === "number" && found >= lo && found <= hi) return found;
    throw malformed(place, show(found), `a number from ${lo} to ${hi}`);
  };
}

export const text: Field<string> = (found, place) => {
  if (typeof found === "string") return found;
  throw malformed(place, show(found), "a string");
};

export const flag: Field<boolean> = (found, place) => {
  if (typeof found === "boolean") return found;
  throw malformed(place, show(found), "true or false");
};

export function oneOf<const T extends string>(...words: readonly T[]): Field<T> {
  return (found, place) => {
    const word = words.find((w) => w === found);
    if (word !== undefined) return word;
    throw malformed(place, show(found), words.map((w) => `'${w}'`).join(" or "));
  };
}

export function optional<T>(field: Field<T>): Field<T | undefined> {
  return (found, place) => (found === undefined ? undefined : field(found, place));
}

export function list<T>(item: Field<T>, fewest: number, most: number): Field<T[]> {
  return (found, place) => {
    if (!Array.isArray(found)) throw malformed(place, show(found), "a list");
    if (found.length < fewest || found.length > most)
      throw malformed(place, `${found.length} elements`, fewest === most ? `${fewest}` : `${fewest} to ${most}`);
    return found.map((x: unknown, i) => item(x, `${place}[${i}]`));
  };
}

export function pair<T>(item: Field<T>): Field<[T, T]> {
  const items = list(item, 2, 2);
  return (found, place) => items(found, place) as [T, T];
}

export function quad<T>(item: Field<T>): Field<[T, T, T, T]> {
  const items = list(item, 4, 4);
  return (found, place) => items(found, place) as [T, T, T, T];
}

export function object(found: unknown, place: string): Record<string, unknown> {
  if (typeof found === "object" && found !== null && !Array.isArray(found)) return found as Record<string, unknown>;
  throw malformed(place, show(found), "an object");
}

/** Exactly these fields, in this order. Unknown ones are refused: a reader that skipped them would run another program than was written. */
export function record<T>(fields: { readonly [K in keyof T]-?: Field<T[K]> }): Field<T> {
  return (found, place) => {
    const source = object(found, place);
    for (const key of Object.keys(source)) {
      if (!Object.hasOwn(fields, key)) throw malformed(`${place}.${key}`, "an unknown field", Object.keys(fields).join(", "));
    }
    const result: Partial<T> = {};
    for (const key in fields) {
      const value = fields[key](Object.hasOwn(source, key) ? source[key] : undefined, `${place}.${key}`);
      if (value !== undefined) result[key] = value;
    }
    return result as T;
  };
}

/** A record whose shape depends on the word in its field `tag`. */
export function variant<Tag extends string, T extends { readonly [K in Tag]: string }>(
  tag: Tag,
  rows: { readonly [K in T[Tag]]: Field<T> },
): Field<T> {
  const words = Object.keys(rows) as T[Tag][];
  return (found, place) => rows[oneOf(...words)(object(found, place)[tag], `${place}.${tag}`)](found, place);
}
