/** One element type. */
interface ElementRow {
  readonly bits: number;
  readonly kind: 'bool' | 'int' | 'float' | 'complex';
}

/** A type whose elements share their scales block by block. */
interface BlockRow {
  /** Of storage for one element, its share of the scales included. */
  readonly bits: number;
  readonly kind: 'block';
  readonly blockElements: number;
  readonly blockBytes: number;
}

/** The row of a block type. Its bits are a whole number of sixteenths, so that elements times bits stay exact. */
function block<Elements extends number, Bytes extends number>(blockElements: Elements, blockBytes: Bytes) {
  return { bits: (blockBytes * 8) / blockElements, kind: 'block', blockElements, blockBytes } as const;
}

/**
 * The element types of the safetensors specification, then ggml's block types, one row each. A row of a matrix is a whole
 * number of blocks.
 * Source: huggingface/safetensors, safetensors/src/tensor.rs (`Dtype`); ggml-org/ggml, src/ggml-common.h (`block_q4_0` …).
 */
export const DTYPES = {
  BOOL: { bits: 8, kind: 'bool' },
  F4: { bits: 4, kind: 'float' },
  F6_E2M3: { bits: 6, kind: 'float' },
  F6_E3M2: { bits: 6, kind: 'float' },
  U8: { bits: 8, kind: 'int' },
  I8: { bits: 8, kind: 'int' },
  F8_E5M2: { bits: 8, kind: 'float' },
  F8_E4M3: { bits: 8, kind: 'float' },
  F8_E8M0: { bits: 8, kind: 'float' },
  I16: { bits: 16, kind: 'int' },
  U16: { bits: 16, kind: 'int' },
  F16: { bits: 16, kind: 'float' },
  BF16: { bits: 16, kind: 'float' },
  I32: { bits: 32, kind: 'int' },
  U32: { bits: 32, kind: 'int' },
  F32: { bits: 32, kind: 'float' },
  C64: { bits: 64, kind: 'complex' },
  F64: { bits: 64, kind: 'float' },
  I64: { bits: 64, kind: 'int' },
  U64: { bits: 64, kind: 'int' },
  Q4_0: block(32, 18),
  Q4_1: block(32, 20),
  Q5_0: block(32, 22),
  Q5_1: block(32, 24),
  Q8_0: block(32, 34),
  Q2_K: block(256, 84),
  Q3_K: block(256, 110),
  Q4_K: block(256, 144),
  Q5_K: block(256, 176),
  Q6_K: block(256, 210),
  IQ4_NL: block(32, 18),
  IQ4_XS: block(256, 136),
} as const satisfies Record<string, ElementRow | BlockRow>;

export type Dtype = keyof typeof DTYPES;
export type BlockDtype = { [Name in Dtype]: (typeof DTYPES)[Name]['kind'] extends 'block' ? Name : never }[Dtype];
/** The types whose elements stand for themselves: what safetensors stores. */
export type ElementDtype = Exclude<Dtype, BlockDtype>;

/** Whether a name is one of safetensors' element types, as a safetensors header spells it. */
export function isDtype(name: string): name is ElementDtype {
  return Object.hasOwn(DTYPES, name) && !isBlockDtype(name as Dtype);
}

export function isBlockDtype(dtype: Dtype): dtype is BlockDtype {
  return DTYPES[dtype].kind === 'block';
}

/** safetensors' element types, in the order of their specification, which ends with the widest. */
export const ELEMENT_DTYPES: readonly ElementDtype[] = Object.keys(DTYPES).filter(isDtype);
