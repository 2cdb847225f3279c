import { decodeToF32, type ElementDtype, encodeFromF32 } from '../tensor/index.js';
import { packRows, rowBytesOf, unpackRows } from './bit-stream.js';
import { NESTED_GROUP, nestedValues } from './nested-scales.js';
import type { QuantizedMatrix, Scales } from './quantized-matrix.js';
import { recordOf, type SchemeRecord, schemeOfRecord } from './record.js';
import type { Scheme } from './scheme.js';
import { tilesOf } from './tiles.js';

/** One tensor of a quantized matrix's stored form. */
export interface StoredPart {
  readonly dtype: ElementDtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** What a part is called behind its weight's name; '' is the weight itself. */
export type PartSuffix = '' | '_scale' | '_zero_point' | '_scale_absmax' | '_scale_offset';

export interface QuantizedParts {
  readonly parts: ReadonlyMap<PartSuffix, StoredPart>;
  /** What `<weight>_coding` says; absent for schemes of 16 bits, whose weight is an ordinary tensor. */
  readonly record?: SchemeRecord;
}

/** Type and shape of a part: what must be stored under its name. */
export type PartForm = Pick<StoredPart, 'dtype' | 'shape'>;

/** Which parts a matrix of that scheme and shape has, and their forms. */
export function partForms(scheme: Scheme, rows: number, columns: number): ReadonlyMap<PartSuffix, PartForm> {
  if (scheme.bits === 16) return new Map([['', { dtype: scheme.format as 'F16' | 'BF16', shape: [rows, columns] }]]);
  const { grid } = tilesOf(scheme, rows, columns);
  const forms = new Map<PartSuffix, PartForm>([['', { dtype: 'U8', shape: [rows, rowBytesOf(columns, scheme.bits)] }]]);
  forms.set('_scale', { dtype: scheme.doubleQuantization ? 'U8' : scheme.scaleDtype, shape: grid });
  if (!scheme.symmetric) forms.set('_zero_point', { dtype: 'U8', shape: grid });
  if (scheme.doubleQuantization) {
    forms.set('_scale_absmax', { dtype: 'F32', shape: [Math.ceil((grid[0] * grid[1]) / NESTED_GROUP)] });
    forms.set('_scale_offset', { dtype: 'F32', shape: [1] });
  }
  return forms;
}

/** The matrix as the tensors that stand for it in a layer: codes in dense rows, scales in the type they are stored in. */
export function toParts(matrix: QuantizedMatrix): QuantizedParts {
  const { scheme, rows, columns } = matrix;
  const parts = new Map<PartSuffix, StoredPart>();
  for (const [suffix, form] of partForms(scheme, rows, columns)) {
    parts.set(suffix, { ...form, bytes: bytesOfPart(matrix, suffix) });
  }
  return { parts, ...(scheme.bits !== 16 && { record: recordOf(scheme, rows, columns) }) };
}

function bytesOfPart({ scheme, rows, columns, codes, scales }: QuantizedMatrix, suffix: PartSuffix): Uint8Array {
  switch (suffix) {
    case '':
      if (codes instanceof Uint16Array) return new Uint8Array(codes.slice().buffer);
      return packRows(codes, rows, columns, scheme.bits);
    case '_scale':
      return scales.nested?.codes.slice() ?? encodeFromF32(scales.values, scheme.scaleDtype);
    case '_zero_point':
      return scales.zeroPoints!.slice();
    case '_scale_absmax':
      return encodeFromF32(scales.nested!.absmax, 'F32');
    case '_scale_offset':
      return encodeFromF32(Float32Array.of(scales.nested!.offset), 'F32');
  }
}

/** The bytes of a part. */
export type PartBytes = (suffix: PartSuffix) => Uint8Array;

/** The matrix whose parts these are: what `toParts` was given. Throws `unreadable` for a record that is none. */
export function fromParts(record: SchemeRecord, bytes: PartBytes): QuantizedMatrix {
  const { scheme, rows, columns } = schemeOfRecord(record);
  return rowsFromParts(scheme, columns, { count: rows, firstScale: 0 }, bytes);
}

/** Some rows of a stored matrix. */
export interface PartRows {
  readonly count: number;
  /** Scales that come before those of the first row's tile. */
  readonly firstScale: number;
}

/**
 * Rows of a matrix from what is stored of them: `bytes` gives the rows' codes, the scales and zero points of the tiles that they
 * are in, and all of `_scale_absmax` and `_scale_offset`.
 */
export function rowsFromParts(
  scheme: Scheme,
  columns: number,
  { count, firstScale }: PartRows,
  bytes: PartBytes,
): QuantizedMatrix {
  const codes = unpackRows(bytes(''), count, columns, scheme.bits);
  return { scheme, rows: count, columns, codes, scales: scalesFrom(scheme, columns, firstScale, bytes) };
}

function scalesFrom(scheme: Scheme, columns: number, first: number, bytes: PartBytes): Scales {
  const across = tilesOf(scheme, 1, columns).grid[1];
  const stored = bytes('_scale');
  if (scheme.doubleQuantization) {
    const absmax = decodeToF32(bytes('_scale_absmax'), 'F32');
    const nested = { codes: stored, absmax, offset: decodeToF32(bytes('_scale_offset'), 'F32')[0]! };
    return { shape: [stored.length / across, across], values: nestedValues(nested, first, stored.length), nested };
  }
  const values = decodeToF32(stored, scheme.scaleDtype);
  const shape = [values.length / across, across] as const;
  return { shape, values, ...(!scheme.symmetric && { zeroPoints: bytes('_zero_point') }) };
}
