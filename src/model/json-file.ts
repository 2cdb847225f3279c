import { open } from 'node:fs/promises';
import { BirdboneError } from '../errors.js';

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Returns the JSON object in a file of at most `maxBytes`. Throws `unreadable` for anything else: no such file, not a regular
 * file, too large, not UTF-8, not JSON, not an object.
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
  const handle = await open(file, 'r').catch((cause: NodeJS.ErrnoException) => {
    throw unreadable(file, cause.code === 'ENOENT' ? 'there is no such file' : cause.message, cause);
  });
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw unreadable(file, 'it is not a regular file');
    if (stat.size > maxBytes) throw unreadable(file, `it has ${stat.size} bytes; at most ${maxBytes} are read`);
    return new TextDecoder('utf-8', { fatal: true }).decode(await handle.readFile());
  } catch (cause) {
    if (cause instanceof BirdboneError) throw cause;
    throw unreadable(file, cause instanceof TypeError ? 'it is not UTF-8' : String(cause), cause);
  } finally {
    await handle.close();
  }
}

function unreadable(file: string, reason: string, cause?: unknown): BirdboneError {
  return new BirdboneError('unreadable', `Cannot read ${file}: ${reason}.`, { file, cause });
}
