import { readFile, stat } from 'node:fs/promises';
import { BirdboneError } from '../errors.js';

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Returns the JSON object in a file of at most `maxBytes`. Throws `unreadable` for anything else: no such file, not a
 * regular file, too large, not UTF-8, not JSON, not an object.
 */
export async function readJsonObject(file: string, maxBytes: number): Promise<JsonObject> {
  const text = await readBoundedText(file, maxBytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw unreadable(file, 'it is not JSON', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw unreadable(file, 'it holds no JSON object');
  }
  return value as JsonObject;
}

async function readBoundedText(file: string, maxBytes: number): Promise<string> {
  try {
    // Looked at before it is opened: opening a pipe would wait for somebody to write to it.
    const found = await stat(file);
    if (!found.isFile()) throw unreadable(file, 'it is not a regular file');
    if (found.size > maxBytes) throw unreadable(file, `it has ${found.size} bytes; at most ${maxBytes} are read`);
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
  } catch (cause) {
    if (cause instanceof BirdboneError) throw cause;
    throw unreadable(file, reasonOf(cause), cause);
  }
}

function reasonOf(cause: unknown): string {
  if (cause instanceof TypeError) return 'it is not UTF-8';
  const { code, message } = cause as NodeJS.ErrnoException;
  return code === 'ENOENT' ? 'there is no such file' : message;
}

function unreadable(file: string, reason: string, cause?: unknown): BirdboneError {
  return new BirdboneError('unreadable', `Cannot read ${file}: ${reason}.`, { file, cause });
}
