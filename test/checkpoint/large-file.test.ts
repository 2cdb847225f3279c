import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { chunksOf, memoryLayer, openCheckpoint, overlay, readFloats } from '../../src/checkpoint/index.js';
import { patterned, temporaryFolder } from '../fixtures/safetensors-file.js';

const GIB = 2 ** 30;
/** Zeros in a hole of the file, so that it takes no room on disk. */
const HOLE_BYTES = 5 * GIB;

/** 5 GiB of zeros in "hole", then 1 000 floats in "last"; with the floats. */
function sparseCheckpoint(): { file: string; values: Float32Array } {
  const values = Float32Array.from({ length: 1000 }, (_, i) => i / 8 - 60);
  const end = HOLE_BYTES + values.byteLength;
  const header = JSON.stringify({
    hole: { dtype: 'BF16', shape: [5, GIB / 2], data_offsets: [0, HOLE_BYTES] },
    last: { dtype: 'F32', shape: [10, 100], data_offsets: [HOLE_BYTES, end] },
  });
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  const file = path.join(temporaryFolder(), 'model.safetensors');
  const handle = openSync(file, 'w');
  writeSync(handle, prefix);
  writeSync(handle, header);
  const dataStart = 8 + header.length;
  ftruncateSync(handle, dataStart + end);
  writeSync(handle, Buffer.from(values.buffer), 0, values.byteLength, dataStart + HOLE_BYTES);
  // A mark in the hole, on both sides of 2^32.
  writeSync(handle, patterned(8), 0, 8, dataStart + 2 ** 32 - 4);
  closeSync(handle);
  return { file, values };
}

describe('a checkpoint of more than 5 GB', () => {
  it('reads its last tensor, whole and by rows', async () => {
    const { file, values } = sparseCheckpoint();
    const checkpoint = await openCheckpoint(file);
    expect(await readFloats(checkpoint, 'last')).toEqual(values);
    expect(await readFloats(checkpoint, 'last', { start: 7, count: 2 })).toEqual(values.slice(700, 900));
    await checkpoint.close();
  });

  it('reads within a tensor beyond 2^32, in few bytes of memory', async () => {
    const { file } = sparseCheckpoint();
    const checkpoint = await openCheckpoint(file);
    expect(await checkpoint.read('hole', { offset: 2 ** 32 - 4, length: 8 })).toEqual(patterned(8));
    const row = await readFloats(checkpoint, 'hole', { start: 4, count: 0 });
    expect(row).toHaveLength(0);
    const chunks = chunksOf(checkpoint, 'hole', 1000);
    expect((await chunks.next()).value).toHaveLength(1000);
    await chunks.return();
    await checkpoint.close();
  });

  it('applies a mask beyond 2^32', async () => {
    const { file } = sparseCheckpoint();
    const checkpoint = await openCheckpoint(file);
    const bits = new Uint8Array(HOLE_BYTES / 2 / 8).fill(0xff);
    const element = (2 ** 32 - 4) / 2;
    // Removes the second of the four marked elements.
    const removed = element + 1;
    bits[Math.floor(removed / 8)]! -= 2 ** (removed % 8);
    const stack = overlay(checkpoint, [memoryLayer(new Map([['hole', bits]]))]);
    const mark = patterned(8);
    mark.fill(0, 2, 4);
    expect(await stack.read('hole', { offset: 2 ** 32 - 4, length: 8 })).toEqual(mark);
    await stack.close();
  });
});
