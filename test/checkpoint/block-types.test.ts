import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { chunksOf, memoryLayer, overlay, readFloats, SafetensorsWriter } from '../../src/checkpoint/index.js';
import { decodeToF32 } from '../../src/tensor/index.js';
import { memoryCheckpoint } from '../fixtures/memory-checkpoint.js';
import { patterned, temporaryFolder } from '../fixtures/safetensors-file.js';

/** Q6_K blocks of 210 bytes: no power of two divides a chunk into them. */
const ROWS = 400;
const BLOCKS_PER_ROW = 120;
const bytes = patterned(ROWS * BLOCKS_PER_ROW * 210);
const checkpoint = () =>
  memoryCheckpoint({
    w: { dtype: 'Q6_K', shape: [ROWS, BLOCKS_PER_ROW * 256], bytes },
    line: { dtype: 'Q8_0', shape: [64], bytes: patterned(68) },
  });

describe('block types in a checkpoint', () => {
  it('are read in chunks that split no block', async () => {
    let done = 0;
    for await (const chunk of chunksOf(checkpoint(), 'w', 1_000_000)) {
      expect(chunk.length % 210).toBe(0);
      done += chunk.length;
    }
    expect(done).toBe(bytes.length);
  });

  it('are widened to floats, whole (10 MB, more than a chunk) and by rows', async () => {
    const expected = decodeToF32(bytes, 'Q6_K');
    expect(Buffer.compare(await rawFloats('w'), Buffer.from(expected.buffer))).toBe(0);
    const columns = BLOCKS_PER_ROW * 256;
    const rows = await readFloats(checkpoint(), 'w', { start: 7, count: 2 });
    expect(Buffer.from(rows.buffer)).toEqual(Buffer.from(expected.slice(7 * columns, 9 * columns).buffer));
  });

  it('have no rows within a block', async () => {
    await expect(readFloats(checkpoint(), 'line', { start: 1, count: 1 })).rejects.toThrow(RangeError);
    expect(await readFloats(checkpoint(), 'line')).toHaveLength(64);
  });

  it('cannot be masked element by element', () => {
    const masks = memoryLayer(new Map([['line', new Uint8Array(8)]]));
    expect(() => overlay(checkpoint(), [masks])).toThrow(
      expect.objectContaining({
        code: 'mismatch',
        tensor: 'line',
        message: expect.stringContaining('elements of 8.5 bits cannot be masked'),
      }),
    );
  });

  it('have no place in a safetensors file', async () => {
    const file = path.join(temporaryFolder(), 'model.safetensors');
    const info = checkpoint().tensors.get('line')!;
    await expect(SafetensorsWriter.create(file, [info], {})).rejects.toMatchObject({
      code: 'unsupported',
      tensor: 'line',
      message: expect.stringContaining('no element type Q8_0'),
    });
    expect(readdirSync(path.dirname(file))).toEqual([]);
  });
});

async function rawFloats(name: string): Promise<Buffer> {
  return Buffer.from((await readFloats(checkpoint(), name)).buffer);
}
