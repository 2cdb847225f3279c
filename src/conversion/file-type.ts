import type { TensorInfo } from '../checkpoint/index.js';
import type { Dtype } from '../tensor/index.js';

/**
 * `general.file_type`: what most weights are. Source: ggml-org/llama.cpp, include/llama.h (`llama_ftype`); of types that several mixes
 * have, the middle mix.
 */
const FILE_TYPES: Partial<Record<Dtype, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 7,
  Q5_0: 8,
  Q5_1: 9,
  Q2_K: 10,
  Q3_K: 12,
  Q4_K: 15,
  Q5_K: 17,
  Q6_K: 18,
  IQ4_NL: 25,
  IQ4_XS: 30,
  BF16: 32,
};

/** llama.cpp's number for the type that most bytes of these tensors' matrices have. */
export function fileType(infos: Iterable<TensorInfo>): number {
  const bytes = new Map<Dtype, number>();
  for (const { dtype, shape, byteLength } of infos) {
    if (shape.length > 1) bytes.set(dtype, (bytes.get(dtype) ?? 0) + byteLength);
  }
  const [most] = [...bytes].sort((a, b) => b[1] - a[1]);
  return FILE_TYPES[most?.[0] ?? 'F32'] ?? 0;
}
