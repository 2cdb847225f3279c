import type { TensorInfo } from '../checkpoint/index.js';
import { type CodingRecord, codingBytes, codingName } from '../coding/index.js';
import type { EncodableDtype } from '../ggml/index.js';
import type { LinearSpec } from '../model/index.js';
import { describeScheme, partForms, recordOf, type Scheme } from '../quantization/index.js';
import { DTYPES, type ElementDtype } from '../tensor/index.js';

/** What a matrix is to be stored as. */
export type Form =
  /** Codes with scales beside them, or a float type of 16 bits. */
  | { readonly kind: 'scheme'; readonly scheme: Scheme }
  /** ggml's blocks; `wanted`: what the mix names, where rows are no whole number of its blocks. */
  | { readonly kind: 'blocks'; readonly dtype: EncodableDtype | 'F16'; readonly wanted?: EncodableDtype }
  /** As it is. */
  | { readonly kind: 'dense'; readonly reason: string };

/** A matrix of the model, and what it is to be stored as. */
export interface MatrixForm {
  /** Stored name. */
  readonly weight: string;
  readonly rows: number;
  readonly columns: number;
  /** Of a linear inside a block; absent for the embedding and the head. */
  readonly spec?: LinearSpec;
  readonly block?: number;
  readonly form: Form;
}

/** A form in words: "int4, groups of 64", "Q5_0 in place of Q4_K", "as it is". */
export function describeForm(form: Form): string {
  switch (form.kind) {
    case 'scheme':
      return describeScheme(form.scheme);
    case 'blocks':
      return form.wanted === undefined ? form.dtype : `${form.dtype} in place of ${form.wanted}`;
    case 'dense':
      return 'as it is';
  }
}

/** What `<weight>_coding` will say; undefined for a weight that needs no record. */
export function recordOfMatrix({ rows, columns, spec, form }: MatrixForm): CodingRecord | undefined {
  if (form.kind !== 'scheme' || form.scheme.bits === 16) return undefined;
  return { ...recordOf(form.scheme, rows, columns), ...(spec?.layout && { layout: spec.layout }) };
}

/** The tensors that will stand for a matrix: none for one that stays as it is. */
export function tensorsOf(matrix: MatrixForm): TensorInfo[] {
  const { weight, rows, columns, spec, form } = matrix;
  if (form.kind === 'dense') return [];
  if (form.kind === 'blocks') return [infoOf(weight, form.dtype, [rows, columns])];
  const isTransposed = form.scheme.bits === 16 && spec?.layout === 'in-out';
  const parts = [...partForms(form.scheme, rows, columns)].map(([suffix, { dtype, shape }]) =>
    infoOf(`${weight}${suffix}`, dtype, isTransposed ? [columns, rows] : shape),
  );
  const record = recordOfMatrix(matrix);
  return record === undefined ? parts : [...parts, infoOf(codingName(weight), 'U8', [codingBytes(record).length])];
}

/** Bits that a weight takes with its share of scales and zero points; `storedBits` where it stays as it is. */
export function bitsPerWeight(matrix: MatrixForm, storedBits: number): number {
  if (matrix.form.kind === 'dense') return storedBits;
  // What says how the rest is to be read is not written into an engine's files.
  const parts = tensorsOf(matrix).filter(({ name }) => name !== codingName(matrix.weight));
  const bytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return (8 * bytes) / (matrix.rows * matrix.columns);
}

function infoOf(name: string, dtype: ElementDtype | EncodableDtype, shape: readonly number[]): TensorInfo {
  const elements = shape.reduce((product, extent) => product * extent, 1);
  const { bits } = DTYPES[dtype];
  return { name, dtype, shape, byteLength: Math.ceil((elements * bits) / 8) };
}
