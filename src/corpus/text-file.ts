import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { BirdboneError } from '../errors.js';
import { type CalibrationSet, parseCalibrationSet, SET_SIGNATURE } from './calibration-set.js';
import type { TextSource } from './passage.js';

/** 16 MiB are five million tokens: a minute of tokenizing, a gigabyte of memory for it, hours of evaluation on a CPU. */
export const MAX_TEXT_BYTES = 16 * 2 ** 20;

export type TextFile =
  | { readonly kind: 'text'; readonly source: TextSource; readonly text: string }
  /** The `text` field of every line that is not blank, in order. */
  | { readonly kind: 'jsonl'; readonly source: TextSource; readonly documents: readonly string[] }
  /** What `birdbone calibrate` wrote: passages that are chosen already. */
  | { readonly kind: 'set'; readonly source: TextSource; readonly set: CalibrationSet };

/**
 * Returns a text file's content: a calibration set by how it begins, JSON lines with a `text` field when its name ends in .jsonl or
 * .ndjson, plain UTF-8 otherwise. A byte-order mark is left out. Throws `unreadable` with the file, and the line where one is at fault.
 */
export async function readTextFile(file: string): Promise<TextFile> {
  const bytes = await readBounded(file);
  const source = { name: path.basename(file), sha256: createHash('sha256').update(bytes).digest('hex') };
  if (!isUtf8(bytes)) throw unreadable(file, `line ${firstBadLine(bytes)} is not UTF-8`);
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  if (text.startsWith(SET_SIGNATURE)) return { kind: 'set', source, set: parseCalibrationSet(file, text) };
  if (/\.(jsonl|ndjson)$/i.test(file)) return { kind: 'jsonl', source, documents: textFields(file, text) };
  return { kind: 'text', source, text };
}

async function readBounded(file: string): Promise<Buffer> {
  try {
    // Looked at before it is opened: opening a pipe would wait for somebody to write to it.
    const found = await stat(file);
    if (!found.isFile()) throw unreadable(file, 'it is not a regular file');
    if (found.size > MAX_TEXT_BYTES) {
      throw unreadable(file, `it has ${found.size} bytes; a text has at most ${MAX_TEXT_BYTES}`, {
        suggestions: ['Use a part of it: the first megabytes say as much about a model.'],
      });
    }
    return await readFile(file);
  } catch (cause) {
    if (cause instanceof BirdboneError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    throw unreadable(file, code === 'ENOENT' ? 'there is no such file' : message, { cause });
  }
}

const LINE_FEED = 0x0a;

/** A UTF-8 sequence never holds a line feed's byte, so a file is UTF-8 when each of its lines is. */
function firstBadLine(bytes: Buffer): number {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const found = bytes.indexOf(LINE_FEED, start);
    const end = found === -1 ? bytes.length : found;
    if (!isUtf8(bytes.subarray(start, end))) break;
    start = end + 1;
  }
  return line;
}

function textFields(file: string, text: string): string[] {
  const documents: string[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() !== '') documents.push(textField(file, line, index + 1));
  }
  return documents;
}

function textField(file: string, line: string, number: number): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw unreadable(file, `line ${number} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const field = typeof value === 'object' && value !== null && 'text' in value ? value.text : undefined;
  if (typeof field === 'string') return field;
  throw unreadable(file, `line ${number} has no field "text" that holds a string`, {
    suggestions: ['Each line must look like {"text": "…"}.', 'Name the file .txt if it is plain text.'],
  });
}

function unreadable(
  file: string,
  reason: string,
  details: { readonly suggestions?: readonly string[]; readonly cause?: unknown } = {},
): BirdboneError {
  return new BirdboneError('unreadable', `Cannot read ${file}: ${reason}.`, { ...details, file });
}
