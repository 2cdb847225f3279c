import {
  type Checkpoint,
  noSuchTensor,
  quoted,
  rangeWithin,
  readFloats,
  type TensorInfo,
  unreadable,
} from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { Registry } from '../registry.js';
import { expectPart, FLOAT_DTYPES } from './check-part.js';
import { type CodedWeight, type Coding, type CodingRecord, codedNames, codingName, correctionNames } from './coding.js';
import { addProduct } from './product.js';
import { readRecord } from './read-record.js';

/** A checkpoint that shows coded weights as dense F32 and hides their parts. */
export interface CodedView extends Checkpoint {
  /** What is stored: codes and parts under their own names. */
  readonly raw: Checkpoint;
  /** How each coded weight is stored. */
  readonly coded: ReadonlyMap<string, CodingRecord>;
}

/** Values that are decoded at a time where a stored row is gathered from all rows: 4 MB. */
const GATHER_VALUES = 2 ** 20;

interface Decodable extends CodedWeight {
  readonly coding: Coding;
  /** The weight as the view shows it. */
  readonly info: TensorInfo;
}

/**
 * The checkpoint with every coded weight as dense F32 of its own shape, and without their parts. Nothing is decoded before it is
 * read, and any range may be read. Closing it closes `raw`.
 *
 * Throws `unreadable`, naming the tensor, for a record or a part that is not as the coding has it, `unsupported` for a kind of
 * coding that is not known.
 */
export async function decodedViewWith(codings: Registry<Coding>, raw: Checkpoint): Promise<CodedView> {
  const decodables = new Map<string, Decodable>();
  const hidden = new Set<string>();
  for (const weight of codedNames(raw.tensors.keys())) {
    const decodable = await openWeight(codings, raw, weight);
    decodables.set(weight, decodable);
    for (const name of partsOf(decodable)) hidden.add(name);
  }
  const shown = [...raw.tensors].filter(([name]) => !hidden.has(name));
  return {
    path: raw.path,
    format: raw.format,
    tensors: new Map(shown.map(([name, info]) => [name, decodables.get(name)?.info ?? info])),
    aliases: raw.aliases,
    metadata: raw.metadata,
    ...(decodables.size === 0 && raw.starts && { starts: raw.starts }),
    ...(raw.companions && { companions: raw.companions }),
    ...(raw.outdated && { outdated: raw.outdated }),
    ...(raw.notices && { notices: raw.notices }),
    raw,
    coded: new Map([...decodables].map(([name, { record }]) => [name, record])),
    async read(name, range) {
      const stored = raw.aliases.get(name) ?? name;
      if (hidden.has(stored)) throw noSuchTensor(raw.path, name);
      const decodable = decodables.get(stored);
      return decodable === undefined ? raw.read(stored, range) : readDecoded(raw, decodable, range);
    },
    ...(raw.prefetch && { prefetch: (name) => raw.prefetch!(name) }),
    close: () => raw.close(),
  };
}

async function openWeight(codings: Registry<Coding>, raw: Checkpoint, weight: string): Promise<Decodable> {
  const record = await readRecord(raw, weight);
  const { kind, rows, columns, layout } = record;
  if (!codings.names.includes(kind)) {
    const known = codings.names.join(', ');
    throw new BirdboneError('unsupported', `${quoted(weight)} is stored as ${quoted(kind)}. Known: ${known}.`, {
      file: raw.path,
      tensor: weight,
      suggestions: ['Use the version of birdbone that wrote it, or a newer one.'],
    });
  }
  const coding = await codings.load(kind);
  const shape = layout === 'in-out' ? [columns, rows] : [rows, columns];
  const info: TensorInfo = { name: weight, dtype: 'F32', shape, byteLength: 4 * rows * columns };
  const decodable = { weight, record, coding, info };
  for (const name of coding.parts(decodable)) if (!raw.tensors.has(name)) throw missing(raw, weight, name);
  coding.check(raw, decodable);
  checkCorrection(raw, decodable);
  return decodable;
}

function missing(raw: Checkpoint, weight: string, part: string): BirdboneError {
  return unreadable(raw.path, `${quoted(part)}, a part of the coded weight ${quoted(weight)}, is missing`, {
    tensor: part,
  });
}

function checkCorrection(raw: Checkpoint, { weight, record }: CodedWeight): void {
  const { rows, columns, correction: rank } = record;
  if (rank === undefined) return;
  const { left, right } = correctionNames(weight);
  expectPart(raw, { name: left, dtypes: FLOAT_DTYPES, shape: [rows, rank] });
  expectPart(raw, { name: right, dtypes: FLOAT_DTYPES, shape: [rank, columns] });
}

/** Names of everything beside the weight itself. */
function partsOf({ weight, record, coding }: Decodable): string[] {
  const { left, right } = correctionNames(weight);
  const correction = record.correction === undefined ? [] : [left, right];
  return [codingName(weight), ...coding.parts({ weight, record }), ...correction];
}

async function readDecoded(
  raw: Checkpoint,
  decodable: Decodable,
  range?: { readonly offset: number; readonly length: number },
): Promise<Uint8Array> {
  const { info } = decodable;
  const { offset, length } = rangeWithin(info, range);
  if (length === 0) return new Uint8Array(0);
  const rowBytes = 4 * info.shape[1]!;
  const first = Math.floor(offset / rowBytes);
  const count = Math.ceil((offset + length) / rowBytes) - first;
  const read = decodable.record.layout === 'in-out' ? transposedRows : decodedRows;
  const values = await read(raw, decodable, first, count);
  const start = offset - first * rowBytes;
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength).subarray(start, start + length);
}

async function decodedRows(raw: Checkpoint, decodable: Decodable, first: number, count: number): Promise<Float32Array> {
  const { weight, record, coding } = decodable;
  const values = await coding.decodeRows(raw, decodable, first, count);
  const { columns, correction: rank } = record;
  if (values.length !== count * columns) {
    throw new RangeError(`${coding.kind} gave ${values.length} values for ${count} rows of ${columns}.`);
  }
  if (rank !== undefined) {
    const names = correctionNames(weight);
    const left = await readFloats(raw, names.left, { start: first, count });
    addProduct(values, { left, right: await readFloats(raw, names.right), rank, columns });
  }
  return values;
}

/** Stored rows of a weight that is stored transposed: columns of what its codes stand for. */
async function transposedRows(
  raw: Checkpoint,
  decodable: Decodable,
  first: number,
  count: number,
): Promise<Float32Array> {
  const { rows, columns } = decodable.record;
  const values = new Float32Array(count * rows);
  const most = Math.max(1, Math.floor(GATHER_VALUES / columns));
  for (let start = 0; start < rows; start += most) {
    const decoded = await decodedRows(raw, decodable, start, Math.min(most, rows - start));
    for (let row = 0; row * columns < decoded.length; row += 1) {
      for (let index = 0; index < count; index += 1) {
        values[index * rows + start + row] = decoded[row * columns + first + index]!;
      }
    }
  }
  return values;
}
