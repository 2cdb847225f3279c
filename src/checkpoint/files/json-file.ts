import { BirdboneError } from '../../errors.js';
import { type ByteSource, FileSource } from './bytes.js';
import { systemCode, unreadable } from './failure.js';
import { JsonReader } from './json-reader.js';

export type JsonObject = Readonly<Record<string, unknown>>;

export interface JsonFile {
  /** What was read, for a digest of the file as it was. */
  readonly bytes: Uint8Array;
  readonly value: unknown;
}

export interface JsonFileOptions {
  /** A larger file is refused before it is read. */
  readonly maxBytes: number;
  /** Refuse what two readers could read differently as well, a key twice above all; see `JsonReader`. */
  readonly strict?: boolean;
}

/**
 * A JSON file that was read whole, or undefined when there is none. Throws `unreadable` for anything but a regular file
 * (which it never waits for), a file above `maxBytes`, and text that is not UTF-8 or not JSON.
 */
export async function readJsonFile(file: string, options: JsonFileOptions): Promise<JsonFile | undefined> {
  const source = await FileSource.open(file).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (source === undefined) return undefined;
  try {
    return await readJson(source, options);
  } finally {
    await source.close();
  }
}

/** The JSON object in a file, as `readJsonFile`; throws `unreadable` also when there is no file or no object in it. */
export async function readJsonObject(file: string, options: JsonFileOptions): Promise<JsonObject> {
  const found = await readJsonFile(file, options);
  if (found === undefined) throw unreadable(file, 'there is no such file');
  const { value } = found;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw unreadable(file, 'it holds no JSON object');
  }
  return value as JsonObject;
}

/** The JSON in bytes from anywhere; throws as `readJsonFile` does. The source stays open. */
export async function readJson(source: ByteSource, { maxBytes, strict = false }: JsonFileOptions): Promise<JsonFile> {
  const { path, size } = source;
  if (size > maxBytes) throw unreadable(path, `it has ${size} bytes; at most ${maxBytes} are read`);
  const bytes = await source.read(0, size);
  const value = parse(path, bytes);
  if (strict) checkStrictly(source);
  return { bytes, value };
}

function parse(file: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown;
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? 'it is not JSON' : 'it is not UTF-8';
    throw unreadable(file, reason, { cause });
  }
}

function checkStrictly(source: ByteSource): void {
  const range = { start: 0, end: source.size, maxTextBytes: source.size };
  const json = new JsonReader(source, range, (problem) => {
    throw unreadable(source.path, problem);
  });
  json.skip('it');
  json.end('its value', 'white space');
}

/** ENOTDIR: what should be the folder is a file, so nothing can lie in it. */
function isMissing(error: unknown): boolean {
  const code = error instanceof BirdboneError ? systemCode(error.cause) : undefined;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
