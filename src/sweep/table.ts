// Rows as text. What is written to files depends on the results alone; how long they took is for the terminal.
import { HalftoneError } from "../errors.ts";
import { axisNames, isFailed, type Measured, type Row } from "./types.ts";

type Cell = string | number | undefined;

interface Column {
  readonly name: string;
  /** Of files for programs alone. */
  readonly machine?: boolean | undefined;
  of(row: Row): Cell;
}

const measured = (name: string, of: (result: Measured) => Cell): Column => ({
  name,
  of: ({ outcome }) => (isFailed(outcome) ? undefined : of(outcome)),
});

/** One row for each column, in order. */
const columns: readonly Column[] = [
  { name: "model", of: ({ model }) => model },
  ...axisNames.map((name): Column => ({ name, of: ({ choices }) => choices[name] })),
  measured("samples", ({ evaluation }) => evaluation.samples),
  measured("float_top1", ({ evaluation }) => evaluation.against?.top1),
  measured("top1", ({ evaluation }) => evaluation.top1),
  measured("top5", ({ evaluation }) => evaluation.top5),
  measured("agreement", ({ evaluation }) => evaluation.agreement),
  measured("logit_sqnr_db", ({ evaluation }) => evaluation.logitSqnrDb),
  measured("weights_alone_top1", ({ weightsAlone }) => weightsAlone?.top1),
  measured("weights_alone_agreement", ({ weightsAlone }) => weightsAlone?.agreement),
  measured("bytes", ({ bytes }) => bytes),
  { ...measured("plan_sha256", ({ plan }) => plan), machine: true },
  { name: "task", machine: true, of: ({ task }) => task || undefined },
  { name: "error", of: ({ outcome }) => (isFailed(outcome) ? HalftoneError.fromData(outcome.error).message : undefined) },
];

/** RFC 4180, with a header. */
export function toCsv(rows: readonly Row[]): string {
  const quoted = (cell: Cell): string => {
    const text = cell === undefined ? "" : String(cell);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [columns.map(({ name }) => name), ...rows.map((row) => columns.map((column) => column.of(row)))];
  return lines.map((cells) => `${cells.map(quoted).join(",")}\n`).join("");
}

/** A list of flat objects; what a row has not is left out, and an infinite ratio is null. */
export function toJson(rows: readonly Row[]): string {
  return `${JSON.stringify(rows.map(flat), null, 2)}\n`;
}

/** A row as an object of its columns. */
export const flat = (row: Row): Record<string, Cell> => Object.fromEntries(columns.map((column) => [column.name, column.of(row)]));

/** Header and rows of the columns that some row has, for people. */
export function forPeople(rows: readonly Row[]): { readonly header: string[]; readonly cells: string[][] } {
  const shown = columns.filter((column) => !column.machine && rows.some((row) => column.of(row) !== undefined));
  return {
    header: shown.map(({ name }) => name.replaceAll("_", " ")),
    cells: rows.map((row) => shown.map((column) => String(column.of(row) ?? ""))),
  };
}

export function toMarkdown(rows: readonly Row[]): string {
  const { header, cells } = forPeople(rows);
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |\n`;
  return [line(header), line(header.map(() => "---")), ...cells.map(line)].join("");
}
