import type { Dtype } from '../../tensor/index.js';

/** ggml's number of each element type that is read and written. Source: ggml-org/ggml, include/ggml.h (`enum ggml_type`). */
const NUMBERS = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q5_0: 6,
  Q5_1: 7,
  Q8_0: 8,
  Q2_K: 10,
  Q3_K: 11,
  Q4_K: 12,
  Q5_K: 13,
  Q6_K: 14,
  IQ4_NL: 20,
  IQ4_XS: 23,
  I8: 24,
  I16: 25,
  I32: 26,
  I64: 27,
  F64: 28,
  BF16: 30,
} as const satisfies Partial<Record<Dtype, number>>;

/** Types that ggml has, or had, and that are not read: for messages. */
const OTHERS: Readonly<Record<number, string>> = {
  4: 'Q4_2, which ggml removed',
  5: 'Q4_3, which ggml removed',
  9: 'Q8_1',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  21: 'IQ3_S',
  22: 'IQ2_S',
  29: 'IQ1_M',
  31: 'Q4_0_4_4, which ggml removed',
  32: 'Q4_0_4_8, which ggml removed',
  33: 'Q4_0_8_8, which ggml removed',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
  40: 'NVFP4',
};

const DTYPE_OF: ReadonlyMap<number, Dtype> = new Map(
  Object.entries(NUMBERS).map(([dtype, number]) => [number, dtype as Dtype]),
);

export const GGUF_DTYPES: readonly Dtype[] = [...DTYPE_OF.values()];

/** The element type with a number of ggml's; undefined for those that are not read. */
export function dtypeOfGgml(number: number): Dtype | undefined {
  return DTYPE_OF.get(number);
}

/** ggml's number of an element type; undefined for those that GGUF does not have. */
export function ggmlTypeOf(dtype: Dtype): number | undefined {
  return (NUMBERS as Partial<Record<Dtype, number>>)[dtype];
}

/** A ggml type that is not read, in words. */
export function ggmlTypeName(number: number): string {
  return OTHERS[number] ?? 'a type that ggml does not have';
}
