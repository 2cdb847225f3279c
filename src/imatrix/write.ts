import { type GgufMetadata, type GgufValue, GgufWriter, type TensorInfo } from '../checkpoint/index.js';
import type { Imatrix } from './imatrix.js';

/**
 * Writes an importance matrix as llama.cpp reads it, whole or not at all: of each tensor `in_sum2` [matrices, columns] and `counts`
 * [matrices, 1], by name. Throws `unwritable`.
 */
export async function writeImatrix(file: string, { entries, datasets, chunks, chunkSize }: Imatrix): Promise<void> {
  const metadata: GgufMetadata = new Map<string, GgufValue>([
    ['general.type', { type: 'string', value: 'imatrix' }],
    ['imatrix.datasets', { type: 'array', of: 'string', values: datasets }],
    ['imatrix.chunk_count', { type: 'u32', value: chunks }],
    ['imatrix.chunk_size', { type: 'u32', value: chunkSize }],
  ]);
  const tensors = [...entries]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .flatMap(([name, { columns, sums, counts }]) => [
      { info: f32(`${name}.in_sum2`, [counts.length, columns]), values: sums },
      { info: f32(`${name}.counts`, [counts.length, 1]), values: counts },
    ]);
  const writer = await GgufWriter.create(
    file,
    metadata,
    tensors.map(({ info }) => info),
  );
  try {
    for (const { info, values } of tensors) {
      await writer.write(info.name, 0, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

function f32(name: string, shape: readonly [number, number]): TensorInfo {
  return { name, dtype: 'F32', shape, byteLength: 4 * shape[0] * shape[1] };
}
