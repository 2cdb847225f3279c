import { type Checkpoint, quoted, type TensorInfo, unreadable } from '../checkpoint/index.js';
import type { Dtype } from '../tensor/index.js';

/** What a part of a coded weight must be. */
export interface ExpectedPart {
  readonly name: string;
  readonly dtypes: readonly Dtype[];
  readonly shape: readonly number[];
}

/** The types in which factors and scales are stored. */
export const FLOAT_DTYPES: readonly Dtype[] = ['F32', 'F16', 'BF16'];

/** The stored part as it must be. Throws `unreadable`, naming the tensor, when it is missing or of another type or shape. */
export function expectPart(source: Checkpoint, { name, dtypes, shape }: ExpectedPart): TensorInfo {
  const info = source.tensors.get(name);
  const wanted = `${dtypes.join(' or ')} [${shape.join(', ')}]`;
  if (info === undefined) {
    throw unreadable(source.path, `${quoted(name)}, a part of a coded weight that must be ${wanted}, is missing`, {
      tensor: name,
    });
  }
  if (dtypes.includes(info.dtype) && info.shape.join() === shape.join()) return info;
  const found = `${info.dtype} [${info.shape.join(', ')}]`;
  throw unreadable(source.path, `${quoted(name)} is ${found}, where its coding says ${wanted}`, { tensor: name });
}
