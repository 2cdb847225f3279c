import { BirdboneError } from '../errors.js';

const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

/** The fraction that `0.5` or `50%` says, between 0 and 1. Throws `usage`. */
export function parseRatio(text: string): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+)\s*(%?)$/.exec(text.trim());
  const value = match === null ? Number.NaN : Number(match[1]) / (match[2] === '%' ? 100 : 1);
  if (value >= 0 && value <= 1) return value;
  const percent = match !== null && match[2] === '' && value <= 100 ? [`Write ${text}% for a percentage.`] : [];
  throw new BirdboneError('usage', `"${text}" is not a ratio. It must be a fraction from 0 to 1 or a percentage.`, {
    suggestions: percent.length > 0 ? percent : ['Write 0.5 or 50%.'],
  });
}

/** The bytes that `500000`, `5GB` (decimal) or `4GiB` (binary) says. Throws `usage`. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const unit = match === null ? undefined : BYTE_UNITS[(match[2] ?? '').toUpperCase()];
  const bytes = Math.floor(Number(match?.[1]) * (unit ?? Number.NaN));
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new BirdboneError(
    'usage',
    `"${text}" is not a size. It must be a number of bytes, with B, KB, MB, GB, KiB, MiB …`,
    {
      suggestions: ['Write 5GB or 512MiB.'],
    },
  );
}

/** `1.50 GB`: three significant digits in decimal units, as disks are sold and file managers show. */
export function formatBytes(bytes: number): string {
  for (const unit of ['TB', 'GB', 'MB', 'KB']) {
    const size = BYTE_UNITS[unit] ?? 1;
    if (bytes >= size) return `${(bytes / size).toPrecision(3)} ${unit}`;
  }
  return `${bytes} B`;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** The seconds that `90s`, `30m`, `12h` or `1d` says; `0` needs no unit. Throws `usage`. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([smhd]?)$/.exec(text.trim());
  const seconds = Number(match?.[1]) * (SECONDS[match?.[2] ?? ''] ?? (Number(match?.[1]) === 0 ? 1 : Number.NaN));
  if (Number.isFinite(seconds)) return seconds;
  throw new BirdboneError('usage', `"${text}" is not a duration. It must be a number with s, m, h or d, or 0.`, {
    suggestions: ['Write 12h or 1d.'],
  });
}

/** `50.0 %`, one digit after the point unless told otherwise. */
export function formatPercent(fraction: number, digits = 1): string {
  return `${(fraction * 100).toFixed(digits)} %`;
}

/** `5.77 M`, `124 K`: three significant digits. */
export function formatCount(count: number): string {
  for (const [unit, size] of [
    ['T', 1e12],
    ['B', 1e9],
    ['M', 1e6],
    ['K', 1e3],
  ] as const) {
    if (count >= size) return `${(count / size).toPrecision(3)} ${unit}`;
  }
  return String(count);
}

/** `00:41`, `1:02:03`: minutes and seconds, hours when there are any. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const hours = Math.floor(whole / 3600);
  const pad = (part: number): string => String(part).padStart(2, '0');
  const rest = `${pad(Math.floor((whole % 3600) / 60))}:${pad(whole % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

/** "1 file", "2 files", "3 matrices": a count and what is counted. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
