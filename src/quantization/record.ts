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

/** What a record tells of. */
export interface CodedShape {
  readonly scheme: Scheme;
  readonly rows: number;
  readonly columns: number;
}

/** Makes the error that says what is wrong with a record. */
export type Refuse = (problem: string) => Error;

/** A record that is being read. */
interface Reading {
  readonly record: { readonly [field: string]: unknown };
  readonly refuse: Refuse;
}

/** Of the files of others, too: no scheme here has 5 or 7. */
const INTEGER_BITS = [2, 3, 4, 5, 6, 7, 8];

const SCALE_DTYPES: readonly ScaleDtype[] = ['F16', 'BF16', 'F32'];

/**
 * The scheme and shape of a record; fields that are not a scheme's (a low-rank correction's) are passed over. Throws what `refuse`
 * makes, `unreadable` unless given, for anything that `recordOf` would not write.
 */
export function schemeOfRecord(record: Reading['record'], refuse: Refuse = unreadableRecord): CodedShape {
  const reading = { record, refuse };
  const type = (Object.keys(KINDS) as Scheme['type'][]).find((key) => KINDS[key] === record['kind']);
  if (type === undefined) throw wrong(reading, 'kind', Object.values(KINDS).join(', '));
  const scheme: Scheme = {
    type,
    ...elementFields(reading, type),
    ...sharing(reading),
    symmetric: oneOf(reading, 'symmetric', type === 'int' ? [true, false] : [true]),
    scaleDtype: oneOf(reading, 'scaleDtype', SCALE_DTYPES),
    ...optional(reading, 'doubleQuantization', type === 'codebook' ? [true as const] : []),
    ...optional(reading, 'activations', ['int8', 'fp8'] as const),
  };
  return { scheme, rows: whole(reading, 'rows'), columns: whole(reading, 'columns') };
}

function elementFields(reading: Reading, type: Scheme['type']): Pick<Scheme, 'bits' | 'format' | 'codebook'> {
  const sizes = [...schemes.values()].filter((row) => row.type === type && row.bits <= 8).map(({ bits }) => bits);
  const bits = oneOf(reading, 'bits', type === 'int' ? INTEGER_BITS : [...new Set(sizes)]);
  if (type === 'float') return { bits, format: oneOf(reading, 'format', ['F8_E4M3', 'F8_E5M2'] as const) };
  if (type === 'codebook') return { bits, codebook: oneOf(reading, 'codebook', ['nf4'] as const) };
  return { bits };
}

function sharing(reading: Reading): Pick<Scheme, 'strategy' | 'groupSize' | 'blockShape'> {
  const strategy = oneOf(reading, 'strategy', ['tensor', 'channel', 'group', 'block'] as const);
  if (strategy === 'group') return { strategy, groupSize: whole(reading, 'groupSize') };
  if (strategy !== 'block') return { strategy };
  const shape = reading.record['blockShape'];
  if (!Array.isArray(shape) || shape.length !== 2 || !shape.every((size) => Number.isSafeInteger(size) && size >= 1)) {
    throw wrong(reading, 'blockShape', 'two whole numbers');
  }
  return { strategy, blockShape: [shape[0], shape[1]] };
}

function whole(reading: Reading, field: string): number {
  const value = reading.record[field];
  if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number;
  throw wrong(reading, field, 'a whole number of at least 1');
}

function oneOf<Value>(reading: Reading, field: string, allowed: readonly Value[]): Value {
  const value = reading.record[field];
  if (allowed.includes(value as Value)) return value as Value;
  throw wrong(reading, field, allowed.length === 0 ? 'absent' : allowed.join(', '));
}

function optional<Field extends string, Value>(
  reading: Reading,
  field: Field,
  allowed: readonly Value[],
): { readonly [Name in Field]?: Value } {
  if (reading.record[field] === undefined) return {};
  return { [field]: oneOf(reading, field, allowed) } as { [Name in Field]: Value };
}

function wrong({ record, refuse }: Reading, field: string, allowed: string): Error {
  const shown = JSON.stringify(record[field])?.slice(0, 80) ?? 'absent';
  return refuse(`the coding of a weight has ${field} ${shown}, which must be ${allowed}`);
}

function unreadableRecord(problem: string): BirdboneError {
  return new BirdboneError('unreadable', `${problem[0]!.toUpperCase()}${problem.slice(1)}.`);
}
