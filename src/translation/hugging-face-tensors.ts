import type { Checkpoint } from '../checkpoint/index.js';
import type { Dtype } from '../tensor/index.js';
import { type FoundName, type GgufArchitecture, nameOf } from './architecture.js';
import { unusableTensor } from './config-from-gguf.js';
import { dealtFromJoined } from './dealt-rows.js';
import type { Derivation } from './derived/derivation.js';
import { reordered } from './derived/reordered.js';
import { shifted } from './derived/shifted.js';
import { slice } from './derived/stacked.js';
import { transposed } from './derived/transposed.js';
import type { GgufNumbers } from './gguf-numbers.js';
import { headOrder } from './rope-rows.js';
import type { ViewedTensor } from './view.js';

interface Translation {
  readonly architecture: GgufArchitecture;
  readonly numbers: GgufNumbers;
}

/** What a gain may be stored as. */
const FLOATS: readonly Dtype[] = ['F32', 'F16', 'BF16', 'F64'];

/**
 * The tensors of a GGUF under Hugging Face's names, and how each is made of what is stored. Throws `unreadable` for a tensor whose
 * shape is not what the metadata say of heads and experts, or that cannot be turned around.
 */
export function huggingFaceTensors(
  gguf: Checkpoint,
  names: ReadonlyMap<string, FoundName>,
  translation: Translation,
): Map<string, ViewedTensor> {
  const tensors = new Map<string, ViewedTensor>();
  for (const [stored, found] of names) {
    if (found.row.form === 'experts') {
      for (const [name, tensor] of expertTensors(gguf, stored, found, translation)) tensors.set(name, tensor);
      continue;
    }
    const derivation = derivationOf(gguf, stored, found, translation);
    tensors.set(nameOf(found, 'huggingFace'), { stored: [stored], ...(derivation && { derivation }) });
  }
  return tensors;
}

function expertTensors(
  gguf: Checkpoint,
  stored: string,
  found: FoundName,
  { numbers }: Translation,
): [string, ViewedTensor][] {
  const { shape } = gguf.tensors.get(stored)!;
  const count = numbers.experts?.count ?? 0;
  if (shape.length !== 3 || shape[0] !== count) {
    throw unusableTensor(gguf.path, stored, `its shape is [${shape}]; there are ${count} experts`);
  }
  return Array.from({ length: count }, (_, expert): [string, ViewedTensor] => [
    nameOf(found, 'huggingFace', expert),
    { stored: [stored], derivation: slice(expert) },
  ]);
}

function derivationOf(
  gguf: Checkpoint,
  stored: string,
  found: FoundName,
  translation: Translation,
): Derivation | undefined {
  const { row, ending } = found;
  const { shape, dtype } = gguf.tensors.get(stored)!;
  const { heads, headDim: headRows } = translation.numbers;
  if (row.heads !== undefined && translation.architecture.ropeOrder === 'pairs') {
    const own = headsOf(found, translation);
    refuseOtherRows(gguf, stored, { heads: own, headRows, wanted: own * headRows });
    return reordered(headOrder({ headRows, wanted: 'halves' }));
  }
  if (row.form === 'dealt') {
    refuseOtherRows(gguf, stored, { heads, headRows, wanted: 3 * heads * headRows });
    return reordered(dealtFromJoined({ heads, headRows }));
  }
  if (ending === 'bias') return undefined;
  if (row.form === 'transposed') {
    if (shape.length !== 2) throw unusableTensor(gguf.path, stored, `its shape is [${shape}]; it must be a matrix`);
    return transposed();
  }
  if (row.form !== 'plus-one') return undefined;
  if (!FLOATS.includes(dtype))
    throw unusableTensor(gguf.path, stored, `it is ${dtype}; gains are ${FLOATS.join(', ')}`);
  return shifted(-1);
}

/** The heads whose rows a tensor has: of its own block where blocks differ. */
function headsOf({ row, block }: FoundName, { numbers }: Translation): number {
  const { heads, kvHeads } = numbers.sizes?.[block!] ?? numbers;
  return row.heads === 'query' ? heads : kvHeads;
}

function refuseOtherRows(
  gguf: Checkpoint,
  stored: string,
  { heads, headRows, wanted }: { readonly heads: number; readonly headRows: number; readonly wanted: number },
): void {
  const rows = gguf.tensors.get(stored)!.shape[0];
  if (rows === wanted && headRows % 2 === 0) return;
  throw unusableTensor(gguf.path, stored, `it has ${rows ?? 'no'} rows; there are ${heads} heads of ${headRows}`);
}
