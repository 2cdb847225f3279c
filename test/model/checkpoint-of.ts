import type { Checkpoint, TensorInfo } from '../../src/checkpoint/index.js';
import type { TinyModel } from '../reference/tiny-model.js';

/** A checkpoint of names and shapes only, for tests of what is decided before any byte is read. */
export function checkpointOf(
  tensors: TinyModel['tensors'],
  options: { dtype?: TensorInfo['dtype']; aliases?: Record<string, string> } = {},
): Checkpoint {
  const dtype = options.dtype ?? 'F32';
  const infos = [...tensors].map(([name, { shape, values }]) => ({
    name,
    dtype,
    shape,
    byteLength: 4 * values.length,
  }));
  return {
    path: 'tiny',
    format: 'safetensors',
    tensors: new Map(infos.map((info) => [info.name, info])),
    aliases: new Map(Object.entries(options.aliases ?? {})),
    metadata: {},
    read: () => Promise.reject(new Error('nothing may be read')),
    close: async () => {},
  };
}
