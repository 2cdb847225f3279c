import { type Checkpoint, canonicalJson, noSuchTensor, quoted, unreadable } from '../checkpoint/index.js';
import { type CodingRecord, codingName } from './coding.js';

/** A record is a few hundred bytes: a scheme's fields and two extents. */
const MAX_RECORD_BYTES = 65_536;

/**
 * The record of a coded weight, with the fields that every coding has checked. Throws `unreadable` for a tensor that holds none: of
 * another type, too large, no canonical JSON, or without these fields.
 */
export async function readRecord(source: Checkpoint, weight: string): Promise<CodingRecord> {
  const name = codingName(weight);
  const info = source.tensors.get(name);
  if (info === undefined) throw noSuchTensor(source.path, name);
  const refuse = (problem: string, cause?: unknown) =>
    unreadable(source.path, `${quoted(name)} ${problem}`, { tensor: name, ...(cause !== undefined && { cause }) });
  if (info.dtype !== 'U8' || info.shape.length !== 1) throw refuse(`is ${info.dtype} [${info.shape}], not U8 bytes`);
  if (info.byteLength > MAX_RECORD_BYTES) {
    throw refuse(`has ${info.byteLength} bytes, and a coding record at most ${MAX_RECORD_BYTES}`);
  }
  const text = Buffer.from(await source.read(name)).toString('utf8');
  const record = parsed(text, refuse);
  const problem = problemOf(record);
  if (problem !== undefined) throw refuse(problem);
  return record as CodingRecord;
}

function parsed(text: string, refuse: (problem: string, cause?: unknown) => Error): Record<string, unknown> {
  try {
    const value = JSON.parse(text) as unknown;
    // One spelling only, so that a key twice cannot hide.
    if (canonicalJson(value) !== text) throw new RangeError('it is not canonical');
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new RangeError('it is no object');
    return value as Record<string, unknown>;
  } catch (cause) {
    throw refuse('holds no canonical JSON object', cause);
  }
}

function problemOf({ kind, rows, columns, layout, correction }: Record<string, unknown>): string | undefined {
  if (typeof kind !== 'string') return 'names no kind of coding';
  if (!isExtent(rows) || !isExtent(columns) || !Number.isSafeInteger(4 * rows * columns)) {
    return `has no valid extents: rows ${JSON.stringify(rows)}, columns ${JSON.stringify(columns)}`;
  }
  if (layout !== undefined && layout !== 'in-out') return `has the unknown layout ${JSON.stringify(layout)}`;
  if (correction !== undefined && !isExtent(correction))
    return `has a correction of rank ${JSON.stringify(correction)}`;
  return undefined;
}

function isExtent(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
