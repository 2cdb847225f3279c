/**
 * The types of GGUF metadata, by their numbers in the file; a type's bytes are those of one value, where all have the same.
 * Source: ggml-org/ggml, docs/gguf.md (`gguf_metadata_value_type`).
 */
export const VALUE_TYPES = [
  { name: 'u8', bytes: 1 },
  { name: 'i8', bytes: 1 },
  { name: 'u16', bytes: 2 },
  { name: 'i16', bytes: 2 },
  { name: 'u32', bytes: 4 },
  { name: 'i32', bytes: 4 },
  { name: 'f32', bytes: 4 },
  { name: 'bool', bytes: 1 },
  { name: 'string', bytes: undefined },
  { name: 'array', bytes: undefined },
  { name: 'u64', bytes: 8 },
  { name: 'i64', bytes: 8 },
  { name: 'f64', bytes: 8 },
] as const;

export type GgufValueType = (typeof VALUE_TYPES)[number]['name'];
export type GgufNumberType = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'f64';
/** As bigint: a number cannot hold all of them. */
export type GgufBigType = 'u64' | 'i64';

export type GgufScalar =
  | { readonly type: GgufNumberType; readonly value: number }
  | { readonly type: GgufBigType; readonly value: bigint }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string };

/** `values` of an array that was read from a file are decoded at first use: most arrays are vocabularies, and large. */
export type GgufArray =
  | { readonly type: 'array'; readonly of: GgufNumberType; readonly values: ArrayLike<number> }
  | { readonly type: 'array'; readonly of: GgufBigType; readonly values: ArrayLike<bigint> }
  | { readonly type: 'array'; readonly of: 'bool'; readonly values: ArrayLike<boolean> }
  | { readonly type: 'array'; readonly of: 'string'; readonly values: readonly string[] }
  | { readonly type: 'array'; readonly of: 'array'; readonly values: readonly GgufArray[] };

export type GgufValue = GgufScalar | GgufArray;

/**
 * What a GGUF file says of its model, by key, in the file's order.
 *
 * @example metadata.get('llama.block_count') // { type: 'u32', value: 6 }
 */
export type GgufMetadata = ReadonlyMap<string, GgufValue>;
