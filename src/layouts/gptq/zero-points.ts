import type { Checkpoint } from '../../checkpoint/index.js';
import { unpackRows } from '../../quantization/index.js';
import type { Module } from './read.js';

/** Packed zero points that are read at once. */
const CHUNK_BYTES = 4 * 2 ** 20;

/**
 * The zero points of outputs `[first, first + count)` as [count, groups]. What is stored is one less in v1 (`offset` 1); the sum is
 * taken modulo 2^bits, as vLLM's, ExLlama's and AutoGPTQ's kernels take it.
 */
export async function readZeroPoints(
  source: Checkpoint,
  { name, bits, outputs, groups }: Module,
  { first, count, offset }: { readonly first: number; readonly count: number; readonly offset: 0 | 1 },
): Promise<Uint8Array> {
  const result = new Uint8Array(count * groups);
  const mask = 2 ** bits - 1;
  const rowBytes = (outputs / 8) * bits;
  const groupsPerChunk = Math.max(1, Math.floor(CHUNK_BYTES / rowBytes));
  for (let start = 0; start < groups; start += groupsPerChunk) {
    const chunk = Math.min(groupsPerChunk, groups - start);
    const packed = await source.read(`${name}.qzeros`, { offset: start * rowBytes, length: chunk * rowBytes });
    const stored = unpackRows(packed, chunk, outputs, bits);
    for (let group = 0; group < chunk; group += 1) {
      for (let row = 0; row < count; row += 1) {
        result[row * groups + start + group] = (stored[group * outputs + first + row]! + offset) & mask;
      }
    }
  }
  return result;
}
