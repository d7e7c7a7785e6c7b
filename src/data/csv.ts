import { HalftoneError } from "../errors.ts";

/**
 * Rows of fields of a comma-separated file (RFC 4180): quoted fields may hold commas, line breaks and doubled quotes.
 * Empty lines are left out; `lines[i]` is the line (from 1) on which row i begins.
 */
export function parseCsv(text: string, place: string): { rows: string[][]; lines: number[] } {
  const rows: string[][] = [];
  const lines: number[] = [];
  let line = 1;
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  while (at < text.length) {
    const row: string[] = [];
    const begin = line;
    for (;;) {
      let field = "";
      if (text[at] === '"') {
        for (;;) {
          const close = text.indexOf('"', at + 1);
          if (close < 0)
            throw new HalftoneError("DATA_MALFORMED", `${place} line ${begin}`, "a quote that is never closed", "a closing quote");
          const part = text.slice(at + 1, close);
          field += part;
          line += part.split("\n").length - 1;
          at = close + 1;
          if (text[at] !== '"') break;
          field += '"';
        }
      } else {
        const start = at;
        while (at < text.length && text[at] !== "," && text[at] !== "\n" && text[at] !== "\r") at++;
        field = text.slice(start, at);
      }
      row.push(field);
      if (text[at] !== ",") break;
      at++;
    }
    if (at < text.length && text[at] !== "\n" && text[at] !== "\r")
      throw new HalftoneError("DATA_MALFORMED", `${place} line ${line}`, "text after a closing quote", "a comma or the end of the line");
    if (text[at] === "\r") at++;
    if (text[at] === "\n") at++;
    line++;
    if (row.length > 1 || row[0] !== "") {
      rows.push(row);
      lines.push(begin);
    }
  }
  return { rows, lines };
}
