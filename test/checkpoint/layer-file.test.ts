import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { createLayer, openCheckpoint, openLayer, overlay, readFloats } from '../../src/checkpoint/index.js';
import { f32, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';
import { fileBytes, patterned, temporaryFolder, u8 } from '../fixtures/safetensors-file.js';

const newFile = () => path.join(temporaryFolder(), 'wave-0001.safetensors');
const PLAN = {
  masks: [
    { name: 'w', elements: 6 },
    { name: 'u', elements: 17 },
  ],
  values: [{ name: 'v', dtype: 'F32', shape: [2], byteLength: 8 } as const],
};
const base = () =>
  memoryCheckpoint({ w: f32([2, 3], [1, 2, 3, 4, 5, 6]), u: f32([17], Array(17).fill(9)), v: f32([2], [7, 8]) });

async function writeLayer(file: string, order: 'forth' | 'back' = 'forth'): Promise<string> {
  const writer = await createLayer(file, PLAN, { wave: '1' });
  const steps = [
    () => writer.writeMask('w', Uint8Array.of(0b101101)),
    () => writer.writeMask('u', Uint8Array.of(0xff, 0x01, 0x01)),
    () => writer.writeValues('v', 0, new Uint8Array(Float32Array.of(-7, -8).buffer)),
  ];
  for (const step of order === 'forth' ? steps : steps.reverse()) await step();
  return (await writer.commit()).sha256;
}

describe('a layer file', () => {
  it('keeps masks, values and metadata, and lies over its base', async () => {
    const file = newFile();
    await writeLayer(file);
    const layer = await openLayer(file);
    expect(layer.path).toBe(file);
    expect(layer.masks).toEqual(
      new Map([
        ['u', { byteLength: 3, elements: 17 }],
        ['w', { byteLength: 1, elements: 6 }],
      ]),
    );
    expect([...layer.values.values()]).toEqual(PLAN.values);
    const stack = overlay(base(), [layer]);
    expect(await readFloats(stack, 'w')).toEqual(Float32Array.of(1, 0, 3, 4, 0, 6));
    expect(await readFloats(stack, 'u')).toEqual(Float32Array.of(...Array(9).fill(9), ...Array(7).fill(0), 9));
    expect(await readFloats(stack, 'v')).toEqual(Float32Array.of(-7, -8));
    await layer.close();
  });

  it('is the same file in whatever order it is written, and its digest is sha256 of that file', async () => {
    const [first, second] = [newFile(), newFile()];
    const digest = await writeLayer(first, 'forth');
    expect(await writeLayer(second, 'back')).toBe(digest);
    expect(readFileSync(first)).toEqual(readFileSync(second));
    expect(createHash('sha256').update(readFileSync(first)).digest('hex')).toBe(digest);
  });

  it('can be looked at as any safetensors file', async () => {
    const file = newFile();
    await writeLayer(file);
    const checkpoint = await openCheckpoint(file);
    expect([...checkpoint.tensors.keys()]).toEqual(['u', 'v', 'w']);
    await checkpoint.close();
  });

  it('leaves nothing behind when it is given up', async () => {
    const file = newFile();
    const writer = await createLayer(file, PLAN, {});
    await writer.writeMask('w', Uint8Array.of(1));
    await writer.abort();
    expect(readdirSync(path.dirname(file))).toEqual([]);
  });

  it('refuses what its plan does not have', async () => {
    const writer = await createLayer(newFile(), PLAN, {});
    await expect(writer.writeMask('v', Uint8Array.of(1))).rejects.toThrow(RangeError);
    await expect(writer.writeMask('x', Uint8Array.of(1))).rejects.toThrow(RangeError);
    await expect(writer.writeMask('w', Uint8Array.of(1, 2))).rejects.toThrow(RangeError);
    await expect(writer.writeValues('w', 0, Uint8Array.of(1))).rejects.toThrow(RangeError);
    await writer.writeMask('w', Uint8Array.of(1));
    await expect(writer.commit()).rejects.toThrow('0 of 8 bytes of v');
    await writer.abort();
  });

  it('refuses a base that it was not made for', async () => {
    const file = newFile();
    await writeLayer(file);
    const layer = await openLayer(file);
    const other = memoryCheckpoint({
      w: f32([7], [1, 2, 3, 4, 5, 6, 7]),
      u: f32([17], Array(17).fill(9)),
      v: f32([2], [7, 8]),
    });
    expect(() => overlay(other, [layer])).toThrow('which has 7 elements');
    await layer.close();
  });
});

describe('a file that is no sound layer', () => {
  const layerOf = (masks: string, version = '1') =>
    fileBytes({ __metadata__: { 'birdbone.layer': version, 'birdbone.masks': masks }, w: u8(0, 2) }, patterned(2));

  it.each([
    ['is another safetensors file', fileBytes({ w: u8(0, 4) }, 4), 'no layer of version 1'],
    ['is of a later version', layerOf('[["w",16]]', '2'), 'no layer of version 1'],
    ['has no list of masks', fileBytes({ __metadata__: { 'birdbone.layer': '1' } }), 'birdbone.masks) is damaged'],
    ['has a list that is not JSON', layerOf('[["w",'), 'birdbone.masks) is damaged'],
    ['has a list of other things', layerOf('["w"]'), 'birdbone.masks) is damaged'],
    ['has a fractional number of bits', layerOf('[["w",15.5]]'), 'birdbone.masks) is damaged'],
    ['lists a mask that it does not have', layerOf('[["x",16]]'), 'a mask of 16 bits for "x"'],
    ['lists too many bits', layerOf('[["w",17]]'), 'a mask of 17 bits for "w"'],
    ['lists too few bits', layerOf('[["w",8]]'), 'a mask of 8 bits for "w"'],
    ['lists a mask twice', layerOf('[["w",16],["w",16]]'), 'a mask of 16 bits for "w"'],
  ])('is refused when it %s', async (_, bytes, says) => {
    const file = newFile();
    writeFileSync(file, bytes);
    await expect(openLayer(file)).rejects.toMatchObject({ code: 'unreadable', file });
    await expect(openLayer(file)).rejects.toThrow(says);
  });

  it('is refused at whatever length it is cut', async () => {
    const file = newFile();
    await writeLayer(file);
    const bytes = readFileSync(file);
    for (let length = 0; length < bytes.length; length += 1) {
      truncateSync(file, length);
      await expect(openLayer(file)).rejects.toMatchObject({ code: 'unreadable', file });
      writeFileSync(file, bytes);
    }
  });
});
