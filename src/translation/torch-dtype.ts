import { elementsOf, type TensorInfo } from '../checkpoint/index.js';
import type { Dtype } from '../tensor/index.js';

/** transformers' names of the types that weights have. */
export const TORCH_DTYPES = { F64: 'float64', F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const;

/** transformers' name of the type that most elements of these tensors have; blocks count as the F32 that they read as. */
export function torchDtypeOf(infos: Iterable<TensorInfo>): string {
  const elements = new Map<string, number>();
  for (const { dtype, shape } of infos) {
    const name = (TORCH_DTYPES as Partial<Record<Dtype, string>>)[dtype] ?? 'float32';
    elements.set(name, (elements.get(name) ?? 0) + elementsOf(shape));
  }
  const [most] = [...elements].sort((a, b) => b[1] - a[1]);
  return most?.[0] ?? 'float32';
}
