export const count = (value: number): string => value.toLocaleString("en-US");
/** "1 sample", "1,024 samples". */
export const counted = (value: number, thing: string): string => `${count(value)} ${thing}${value === 1 ? "" : "s"}`;

export const bytes = (value: number): string =>
  value < 1e3 ? `${value} B` : value < 1e6 ? `${(value / 1e3).toFixed(1)} kB` : `${(value / 1e6).toFixed(2)} MB`;

export const percent = (value: number): string => `${value.toFixed(2)} %`;

export const decibels = (value: number): string => (Number.isFinite(value) ? `${value.toFixed(1)} dB` : "exact");

export const milliseconds = (value: number): string => `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ms`;

export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}
