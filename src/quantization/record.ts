import { BirdboneError } from '../errors.js';
import { type ScaleDtype, type Scheme, schemes } from './scheme.js';

/** A scheme and a matrix's shape as the JSON of `<weight>_coding`: flat, without what is absent. */
export interface SchemeRecord {
  readonly [field: string]: string | number | boolean | readonly number[];
  readonly kind: 'integer' | 'float8' | 'codebook';
  readonly rows: number;
  readonly columns: number;
}

const KINDS = { int: 'integer', float: 'float8', codebook: 'codebook' } as const satisfies Record<
  Scheme['type'],
  string
>;

/** The record of a matrix of that scheme and shape. */
export function recordOf(scheme: Scheme, rows: number, columns: number): SchemeRecord {
  const { type, ...rest } = scheme;
  return { kind: KINDS[type], rows, columns, ...rest };
}

const SCALE_DTYPES: readonly ScaleDtype[] = ['F16', 'BF16', 'F32'];

/**
 * The scheme and shape that a record tells of; fields of others (a low-rank correction) are passed over. Throws `unreadable` for
 * anything that `recordOf` would not write.
 */
export function schemeOfRecord(record: { readonly [field: string]: unknown }): {
  readonly scheme: Scheme;
  readonly rows: number;
  readonly columns: number;
} {
  const type = (Object.keys(KINDS) as Scheme['type'][]).find((key) => KINDS[key] === record['kind']);
  if (type === undefined) throw wrong('kind', record['kind'], Object.values(KINDS).join(', '));
  const rows = whole(record, 'rows');
  const columns = whole(record, 'columns');
  const shared = sharing(record);
  const elements = elementFields(record, type);
  const scheme: Scheme = {
    type,
    ...elements,
    ...shared,
    symmetric: oneOf(record, 'symmetric', type === 'int' ? [true, false] : [true]),
    scaleDtype: oneOf(record, 'scaleDtype', SCALE_DTYPES),
    ...optional(record, 'doubleQuantization', type === 'codebook' ? [true as const] : []),
    ...optional(record, 'activations', ['int8', 'fp8'] as const),
  };
  return { scheme, rows, columns };
}

function elementFields(
  record: Record<string, unknown>,
  type: Scheme['type'],
): Pick<Scheme, 'bits' | 'format' | 'codebook'> {
  const sizes = [...schemes.values()].filter((row) => row.type === type && row.bits <= 8).map(({ bits }) => bits);
  const bits = oneOf(record, 'bits', [...new Set(sizes)]);
  if (type === 'float') return { bits, format: oneOf(record, 'format', ['F8_E4M3', 'F8_E5M2'] as const) };
  if (type === 'codebook') return { bits, codebook: oneOf(record, 'codebook', ['nf4'] as const) };
  return { bits };
}

function sharing(record: Record<string, unknown>): Pick<Scheme, 'strategy' | 'groupSize' | 'blockShape'> {
  const strategy = oneOf(record, 'strategy', ['tensor', 'channel', 'group', 'block'] as const);
  if (strategy === 'group') return { strategy, groupSize: whole(record, 'groupSize') };
  if (strategy !== 'block') return { strategy };
  const shape = record['blockShape'];
  if (!Array.isArray(shape) || shape.length !== 2 || !shape.every((size) => Number.isSafeInteger(size) && size >= 1)) {
    throw wrong('blockShape', shape, 'two whole numbers');
  }
  return { strategy, blockShape: [shape[0], shape[1]] };
}

function whole(record: Record<string, unknown>, field: string): number {
  const value = record[field];
  if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number;
  throw wrong(field, value, 'a whole number of at least 1');
}

function oneOf<Value>(record: Record<string, unknown>, field: string, allowed: readonly Value[]): Value {
  const value = record[field];
  if (allowed.includes(value as Value)) return value as Value;
  throw wrong(field, value, allowed.join(', '));
}

function optional<Field extends string, Value>(
  record: Record<string, unknown>,
  field: Field,
  allowed: readonly Value[],
): { readonly [Name in Field]?: Value } {
  return record[field] === undefined ? {} : ({ [field]: oneOf(record, field, allowed) } as { [Name in Field]: Value });
}

function wrong(field: string, value: unknown, allowed: string): BirdboneError {
  const shown = JSON.stringify(value)?.slice(0, 80) ?? 'absent';
  return new BirdboneError('unreadable', `A weight's coding has ${field} ${shown}; it must be ${allowed}.`);
}
