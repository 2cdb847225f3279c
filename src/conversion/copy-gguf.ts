import { type Checkpoint, type GgufMetadata, type GgufValue, ggufMetadata } from '../checkpoint/index.js';
import { dequantized } from '../translation/index.js';
import type { ConvertOptions } from './conversion.js';
import type { Prepared } from './prepared.js';
import type { Source } from './source.js';
import { storedTypes } from './stored-types.js';
import { writeGguf } from './write-gguf.js';

/**
 * Prepares the writing of a GGUF from a GGUF, of any architecture: with a type, its blocks are dequantized and its matrices cast;
 * without one, it is the same tensors. Metadata stay, but for what speaks of the old types.
 */
export async function prepareGgufCopy({ checkpoint }: Source, options: ConvertOptions): Promise<Prepared> {
  const { dtype, mix } = options;
  const values = dtype === undefined ? checkpoint : dequantized(checkpoint);
  const before = ggufMetadata(checkpoint)!;
  const types = await storedTypes(values, before, options, ({ shape }) =>
    dtype === undefined || shape.length > 1 ? dtype : 'F32',
  );
  const { view } = types;
  const changes = dtype !== undefined || mix !== undefined;
  const stale = changes ? [...before.keys()].filter(speaksOfBlocks) : [];
  const metadata: GgufMetadata = new Map<string, GgufValue>([
    ...[...before].filter(([key]) => !stale.includes(key)),
    ...(changes ? types.metadata : []),
  ]);
  const left = stale.filter((key) => !metadata.has(key));
  return {
    to: 'gguf',
    view,
    storedDtype: (name) => checkpoint.tensors.get(name)!.dtype,
    lost: [
      ...types.notices,
      ...(left.length === 0 ? [] : [`Metadata about the old types are left out: ${left.join(', ')}.`]),
    ],
    write: (watch) =>
      writeGguf(options.out, { view, order: inFileOrder(checkpoint), metadata }, watch).finally(types.close),
  };
}

function inFileOrder({ tensors, starts }: Checkpoint): string[] {
  return [...tensors.keys()].sort((left, right) => (starts?.get(left) ?? 0) - (starts?.get(right) ?? 0));
}

function speaksOfBlocks(key: string): boolean {
  return key === 'general.quantization_version' || key.startsWith('quantize.');
}
