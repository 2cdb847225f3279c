import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { bytes, dict, int, NONE, pickle, tensor, text, tuple, u64 } from '../fixtures/pickle-assembler.js';
import { patterned, temporaryFolder } from '../fixtures/safetensors-file.js';
import { LEGACY_START, legacyFile, legacyStorage } from '../fixtures/torch-file.js';
import { refusalOf } from './refusal.js';

const four = (of: Uint8Array) => tensor(of, { shape: [4], strides: [1] });
const W = dict([text('w'), four(legacyStorage('FloatStorage', 'a', 4))]);
const STORED = { key: 'a', elements: 4, data: patterned(16) };
const SOUND = legacyFile(W, [STORED]);

const MAGIC = pickle('\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19');
const PROTOCOL = pickle('M\xe9\x03');
const system = (littleEndian: string): Buffer => pickle(dict([text('little_endian'), littleEndian]));
const keys = (...names: readonly string[]): Buffer => pickle(bytes(']', '(', ...names.map(text), 'e'));

/** The value, and where a view of its storage is said to be. */
const viewing = (view: Uint8Array): Buffer =>
  legacyFile(dict([text('w'), four(legacyStorage('FloatStorage', 'a', 4, view))]), [STORED]);

describe('a legacy file', () => {
  it('that is sound is read', async () => {
    const file = path.join(temporaryFolder(), 'model.th');
    writeFileSync(file, SOUND);
    const checkpoint = await openCheckpoint(file);
    expect(await checkpoint.read('w')).toEqual(patterned(16));
    await checkpoint.close();
  });

  it('with views of one storage, as before torch 1.0, is read', async () => {
    const file = path.join(temporaryFolder(), 'model.th');
    const view = (key: string, offset: number) =>
      tensor(legacyStorage('FloatStorage', 'a', 4, tuple(text(key), int(offset), int(2))), {
        shape: [2],
        strides: [1],
      });
    writeFileSync(file, legacyFile(dict([text('low'), view('b', 0)], [text('high'), view('c', 2)]), [STORED]));
    const checkpoint = await openCheckpoint(file);
    expect(await checkpoint.read('low')).toEqual(patterned(16).slice(0, 8));
    expect(await checkpoint.read('high')).toEqual(patterned(16).slice(8));
    await checkpoint.close();
  });

  it.each([
    ['with bytes after its last storage', bytes(SOUND, 'x'), '1 bytes follow its last storage'],
    ['with a pickle after its last storage', bytes(SOUND, pickle(NONE)), '4 bytes follow its last storage'],
    ['that is cut off in a storage', SOUND.subarray(0, -1), 'storage "a" has 16 bytes from byte'],
    [
      'whose storage has another count',
      legacyFile(W, [{ ...STORED, elements: 5 }]),
      'has 5 elements, and its pickle says 4',
    ],
    ['whose count is −1', patchCount(-1n), 'has -1 elements'],
    ['whose count is 2^63 − 1', patchCount(2n ** 63n - 1n), 'has 9223372036854775807 elements'],
    ['that lists a storage twice', bytes(LEGACY_START, pickle(W), keys('a', 'a')), 'lists the storage "a" twice'],
    [
      'that lists a storage of nobody',
      bytes(LEGACY_START, pickle(W), keys('a', 'b')),
      'a storage that nothing refers to',
    ],
    ['that does not list a storage', bytes(LEGACY_START, pickle(W), keys()), 'does not list the storage "a"'],
    ['that lists its storages in a dict', bytes(LEGACY_START, pickle(W), pickle(dict())), 'in a dict'],
    ['that ends after its value', bytes(LEGACY_START, pickle(W)), 'before its STOP'],
    ['whose system is no dict', bytes(MAGIC, PROTOCOL, pickle(NONE)), 'describes its system by None'],
    [
      'with a storage larger than the file',
      legacyFile(dict([text('w'), four(legacyStorage('FloatStorage', 'a', 2 ** 40))]), [STORED]),
      'has 4398046511104 bytes from byte',
    ],
    [
      'with a view beyond its storage',
      viewing(tuple(text('b'), int(1), int(4))),
      'its view ends at byte 20 of a storage',
    ],
    ['with a view of −1', viewing(tuple(text('b'), int(-1), int(4))), 'its storage has -1 elements'],
    ['with a view that is no tuple', viewing(text('b')), "its storage's view is a text"],
    [
      'with a tensor beyond its view',
      viewing(tuple(text('b'), int(0), int(3))),
      'tensor "w": its last element is number 3 of a storage that has 3',
    ],
  ])('%s is refused', async (_, content, says) => {
    const error = await refusalOf('model.th', content);
    expect(error).toMatchObject({ code: 'unreadable', message: expect.stringContaining(says) });
  });

  it.each([
    ['of another protocol', bytes(MAGIC, pickle('M\xea\x03')), 'its protocol is 1002; the only one of torch is 1001'],
    ['whose protocol is 2^40 tuples', bytes(MAGIC, pickle(')', '2\x86'.repeat(40))), 'its protocol is a tuple'],
    ['of a big-endian computer', bytes(MAGIC, PROTOCOL, system('\x89')), 'most significant byte first'],
    ['whose magic number is another', pickle(int(7)), 'a pickle of a number, and not one that torch.save wrote'],
    ['that is some other pickle', pickle(dict()), 'a pickle of a dict, and not one that torch.save wrote'],
  ])('%s is refused by name', async (_, content, says) => {
    const error = await refusalOf('model.th', content);
    expect(error).toMatchObject({ code: 'unsupported', message: expect.stringContaining(says) });
  });

  it('is refused at every length that it can be cut to', async () => {
    for (let length = 0; length < SOUND.length; length += 1) {
      const error = await refusalOf('model.th', SOUND.subarray(0, length));
      expect(['unreadable', 'unsupported']).toContain(error.code);
    }
  });
});

function patchCount(count: bigint): Buffer {
  const file = Buffer.from(SOUND);
  const field = Buffer.alloc(8);
  field.writeBigInt64LE(count);
  file.set(field, file.length - 24);
  expect(file.length - 24).toBe(SOUND.indexOf(bytes(u64(4), patterned(16).slice(0, 4))));
  return file;
}
