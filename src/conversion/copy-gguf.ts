import { type Checkpoint, type GgufMetadata, type GgufValue, ggufMetadata } from '../checkpoint/index.js';
import { castView, dequantized } from '../translation/index.js';
import type { ConvertOptions } from './conversion.js';
import { fileType } from './file-type.js';
import type { Prepared } from './prepared.js';
import type { Source } from './source.js';
import { writeGguf } from './write-gguf.js';

/**
 * Prepares the writing of a GGUF from a GGUF, of any architecture: with a type, its blocks are dequantized and its matrices cast;
 * without one, it is the same tensors. Metadata stay, but for what speaks of the old types.
 */
export function prepareGgufCopy({ checkpoint }: Source, options: ConvertOptions): Prepared {
  const { dtype } = options;
  const values = dtype === undefined ? checkpoint : dequantized(checkpoint);
  const view = castView(values, ({ shape }) => (dtype === undefined || shape.length > 1 ? dtype : 'F32'));
  const before = ggufMetadata(checkpoint)!;
  const stale = dtype === undefined ? [] : [...before.keys()].filter(speaksOfBlocks);
  const metadata: GgufMetadata = new Map<string, GgufValue>([
    ...[...before].filter(([key]) => !stale.includes(key)),
    ...(dtype === undefined
      ? []
      : [['general.file_type', { type: 'u32', value: fileType(view.tensors.values()) }] as const]),
  ]);
  return {
    to: 'gguf',
    view,
    storedDtype: (name) => checkpoint.tensors.get(name)!.dtype,
    lost: stale.length === 0 ? [] : [`Metadata about the old types are left out: ${stale.join(', ')}.`],
    write: (watch) => writeGguf(options.out, { view, order: inFileOrder(checkpoint), metadata }, watch),
  };
}

function inFileOrder({ tensors, starts }: Checkpoint): string[] {
  return [...tensors.keys()].sort((left, right) => (starts?.get(left) ?? 0) - (starts?.get(right) ?? 0));
}

function speaksOfBlocks(key: string): boolean {
  return key === 'general.quantization_version' || key.startsWith('quantize.');
}
