import { type Checkpoint, canonicalJson } from '../checkpoint/index.js';

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** What `<weight>_coding` says, as canonical JSON: how a weight is stored. Its other fields are the coding's own (a scheme's). */
export interface CodingRecord {
  readonly [field: string]: Json | undefined;
  /** A name in `codings`. */
  readonly kind: string;
  /** Of the weight as a linear has it: outputs … */
  readonly rows: number;
  /** … and inputs. */
  readonly columns: number;
  /** `in-out` for a weight that the dense model stores transposed, [columns, rows]; its codes are [rows, columns] all the same. */
  readonly layout?: 'in-out';
  /**
   * Rank of a low-rank correction: `<weight>_left` [rows, rank] times `<weight>_right` [rank, columns] is added to what the codes
   * stand for.
   */
  readonly correction?: number;
}

/** A weight and how it is stored. */
export interface CodedWeight {
  readonly weight: string;
  readonly record: CodingRecord;
}

/** A way to store a matrix in another form than one number an element. */
export interface Coding {
  readonly kind: string;
  /** Names of the tensors beside `<weight>` that its values are made of; neither its record nor a correction is among them. */
  parts(coded: CodedWeight): readonly string[];
  /**
   * Throws `unreadable`, naming the tensor, unless the record's fields are this coding's, and weight and parts have the types and
   * shapes that follow from them. Looks at headers alone.
   */
  check(source: Checkpoint, coded: CodedWeight): void;
  /**
   * Returns the values of rows `first` to `first + count`, row-major: what the stored numbers stand for, without a correction. Reads
   * only what these rows need.
   */
  decodeRows(source: Checkpoint, coded: CodedWeight, first: number, count: number): Promise<Float32Array>;
}

/** Name of the tensor with a weight's record: U8, the bytes of canonical JSON. */
export function codingName(weight: string): string {
  return `${weight}${CODING_SUFFIX}`;
}

/** Names of the factors of a weight's low-rank correction. */
export function correctionNames(weight: string): { readonly left: string; readonly right: string } {
  return { left: `${weight}_left`, right: `${weight}_right` };
}

/** The bytes that `<weight>_coding` holds. */
export function codingBytes(record: CodingRecord): Uint8Array {
  return new Uint8Array(Buffer.from(canonicalJson(record)));
}

/** The weights that these tensors hold in coded form: those with a record beside them. In the order in which the records come. */
export function codedNames(names: Iterable<string>): string[] {
  const all = new Set(names);
  return [...all]
    .filter((name) => name.endsWith(CODING_SUFFIX))
    .map((name) => name.slice(0, -CODING_SUFFIX.length))
    .filter((weight) => all.has(weight));
}

/**
 * The weight that each of these tensors is a part of, the weight itself included; tensors of no coded weight are not in it. What is
 * called `<weight>_…` beside `<weight>_coding` is the weight's, whatever the coding; of two such weights, that of the longer name.
 */
export function ownersOfParts(names: readonly string[]): ReadonlyMap<string, string> {
  const coded = new Set(codedNames(names));
  const owners = new Map<string, string>();
  for (const name of names) {
    for (let end = name.length; end > 0; end = name.lastIndexOf('_', end - 1)) {
      const weight = name.slice(0, end);
      if (!coded.has(weight)) continue;
      owners.set(name, weight);
      break;
    }
  }
  return owners;
}

const CODING_SUFFIX = '_coding';
