import type { ElementDtype } from '../../tensor/index.js';

/** torch's element types: what the file calls them, what its storage class was called, and which of ours it is. */
const ROWS: readonly (readonly [dtype: string, storage: string | undefined, ours: ElementDtype | undefined])[] = [
  ['bool', 'BoolStorage', 'BOOL'],
  ['uint8', 'ByteStorage', 'U8'],
  ['int8', 'CharStorage', 'I8'],
  ['int16', 'ShortStorage', 'I16'],
  ['int32', 'IntStorage', 'I32'],
  ['int64', 'LongStorage', 'I64'],
  ['float16', 'HalfStorage', 'F16'],
  ['bfloat16', 'BFloat16Storage', 'BF16'],
  ['float32', 'FloatStorage', 'F32'],
  ['float64', 'DoubleStorage', 'F64'],
  ['complex64', 'ComplexFloatStorage', 'C64'],
  // Newer than the storage classes: their tensors come from _rebuild_tensor_v3 over an untyped storage.
  ['uint16', undefined, 'U16'],
  ['uint32', undefined, 'U32'],
  ['uint64', undefined, 'U64'],
  ['float8_e4m3fn', undefined, 'F8_E4M3'],
  ['float8_e5m2', undefined, 'F8_E5M2'],
  ['float8_e8m0fnu', undefined, 'F8_E8M0'],
  // No type of ours holds their values.
  ['complex32', undefined, undefined],
  ['complex128', 'ComplexDoubleStorage', undefined],
  ['float8_e4m3fnuz', undefined, undefined],
  ['float8_e5m2fnuz', undefined, undefined],
  ['float4_e2m1fn_x2', undefined, undefined],
  ['quint8', 'QUInt8Storage', undefined],
  ['qint8', 'QInt8Storage', undefined],
  ['qint32', 'QInt32Storage', undefined],
  ['quint4x2', 'QUInt4x2Storage', undefined],
  ['quint2x4', 'QUInt2x4Storage', undefined],
];

/** Names in the module `torch` that mean an element type, or a storage of one; undefined for those that are not read. */
export const ELEMENT_TYPES: ReadonlyMap<string, ElementDtype | undefined> = new Map(
  ROWS.map(([dtype, , ours]) => [dtype, ours]),
);

export const STORAGE_TYPES: ReadonlyMap<string, ElementDtype | undefined> = new Map(
  ROWS.flatMap(([, storage, ours]) => (storage === undefined ? [] : [[storage, ours] as const])),
);
