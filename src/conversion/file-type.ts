import type { TensorInfo } from '../checkpoint/index.js';
import type { Dtype } from '../tensor/index.js';

/** `general.file_type`. Source: ggml-org/llama.cpp, include/llama.h (`llama_ftype`): all F32, mostly F16, mostly BF16. */
const FILE_TYPES: Partial<Record<Dtype, number>> = { F32: 0, F16: 1, BF16: 32 };

/** llama.cpp's number for the type that most bytes of these tensors' matrices have. */
export function fileType(infos: Iterable<TensorInfo>): number {
  const bytes = new Map<Dtype, number>();
  for (const { dtype, shape, byteLength } of infos) {
    if (shape.length > 1) bytes.set(dtype, (bytes.get(dtype) ?? 0) + byteLength);
  }
  const [most] = [...bytes].sort((a, b) => b[1] - a[1]);
  return FILE_TYPES[most?.[0] ?? 'F32'] ?? 0;
}
