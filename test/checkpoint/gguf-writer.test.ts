import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type GgufMetadata,
  type GgufValue,
  GgufWriter,
  ggufMetadata,
  openCheckpoint,
  type TensorInfo,
} from '../../src/checkpoint/index.js';
import { DTYPES, type Dtype } from '../../src/tensor/index.js';
import { array, entry, f32, ggufBytes, pair, text, u32, u64 } from '../fixtures/gguf-file.js';
import { patterned, temporaryFolder } from '../fixtures/safetensors-file.js';

type Tensor = TensorInfo & { readonly bytes: Uint8Array };

function tensor(name: string, dtype: Dtype, shape: readonly number[], seed = 1): Tensor {
  const byteLength = (shape.reduce((product, size) => product * size, 1) * DTYPES[dtype].bits) / 8;
  return { name, dtype, shape, byteLength, bytes: patterned(byteLength, seed) };
}

async function writeAll(file: string, metadata: GgufMetadata, tensors: readonly Tensor[]): Promise<void> {
  const writer = await GgufWriter.create(file, metadata, tensors);
  for (const { name, bytes } of tensors) await writer.write(name, 0, bytes);
  await writer.commit();
}

const newFile = () => path.join(temporaryFolder(), 'model.gguf');
const metadata = (entries: Readonly<Record<string, GgufValue>>): GgufMetadata => new Map(Object.entries(entries));

describe('GgufWriter', () => {
  it('writes what the specification says, byte for byte', async () => {
    const file = newFile();
    const given = metadata({
      'general.architecture': { type: 'string', value: 'llama' },
      'general.alignment': { type: 'u32', value: 64 },
      'llama.rope.freq_base': { type: 'f32', value: 10_000 },
      big: { type: 'u64', value: 2n ** 63n },
      tokens: { type: 'array', of: 'string', values: ['a', '▁b'] },
      nested: { type: 'array', of: 'array', values: [{ type: 'array', of: 'u32', values: [5] }] },
    });
    const tensors = [tensor('w', 'F32', [2, 3]), tensor('q', 'Q4_0', [1, 32], 2), tensor('s', 'BF16', [], 3)];
    await writeAll(file, given, tensors);
    const data = Buffer.alloc(192);
    data.set(tensors[0]!.bytes, 0);
    data.set(tensors[1]!.bytes, 64);
    data.set(tensors[2]!.bytes, 128);
    const expected = ggufBytes({
      pairs: [
        pair('general.architecture', 'string', text('llama')),
        pair('general.alignment', 'u32', u32(64)),
        pair('llama.rope.freq_base', 'f32', f32(10_000)),
        pair('big', 'u64', u64(2n ** 63n)),
        pair('tokens', 'array', array('string', [text('a'), text('▁b')])),
        pair('nested', 'array', array('array', [array('u32', [u32(5)])])),
      ],
      entries: [
        entry({ name: 'w', ne: [3, 2] }),
        entry({ name: 'q', ne: [32, 1], type: 2, offset: 64 }),
        entry({ name: 's', ne: [], type: 30, offset: 128 }),
      ],
      alignment: 64,
      data,
    });
    expect(readFileSync(file).equals(expected)).toBe(true);
  });

  it('takes tensors in any order and in parts, knows its digest, and refuses gaps', async () => {
    const file = newFile();
    const [a, b] = [tensor('a', 'F16', [40]), tensor('b', 'I8', [7], 2)];
    const writer = await GgufWriter.create(file, metadata({}), [a, b]);
    await writer.write('b', 0, b.bytes.subarray(0, 3));
    await writer.write('a', 0, a.bytes);
    await expect(writer.commit()).rejects.toThrow('3 of 7 bytes of b');
    await expect(writer.write('b', 4, b.bytes.subarray(4))).rejects.toThrow(RangeError);
    await writer.write('b', 3, b.bytes.subarray(3));
    const digest = await writer.digest();
    await writer.commit();
    expect(createHash('sha256').update(readFileSync(file)).digest('hex')).toBe(digest);
    expect(readdirSync(path.dirname(file))).toEqual(['model.gguf']);
    const checkpoint = await openCheckpoint(file);
    expect(await checkpoint.read('a')).toEqual(a.bytes);
    await checkpoint.close();
  });

  it('leaves nothing behind when it is aborted', async () => {
    const file = newFile();
    const writer = await GgufWriter.create(file, metadata({}), [tensor('a', 'F16', [4])]);
    await writer.abort();
    await writer.abort();
    expect(readdirSync(path.dirname(file))).toEqual([]);
  });

  it.each([
    ['a type that GGUF lacks', tensor('w', 'F8_E4M3', [4]), 'no element type F8_E4M3'],
    ['a name that llama.cpp refuses', tensor('w'.repeat(64), 'F32', [4]), 'names of up to 63 bytes'],
    ['a name that llama.cpp cuts', tensor('w\0v', 'F32', [4]), 'names of up to 63 bytes'],
    ['five dimensions', tensor('w', 'F32', [1, 1, 1, 1, 4]), 'more than 4 dimensions'],
  ])('refuses %s, naming the tensor', async (_, bad, says) => {
    const file = newFile();
    await expect(GgufWriter.create(file, metadata({}), [bad])).rejects.toMatchObject({
      code: 'unsupported',
      file,
      tensor: bad.name,
      message: expect.stringContaining(says),
    });
    expect(readdirSync(path.dirname(file))).toEqual([]);
  });

  it.each<[string, Readonly<Record<string, GgufValue>>, readonly Tensor[]]>([
    ['two tensors of a name', {}, [tensor('w', 'F32', [1]), tensor('w', 'F32', [2])]],
    ['another length than the shape says', {}, [{ ...tensor('w', 'F32', [1]), byteLength: 8 }]],
    ['rows that are no whole blocks', {}, [{ ...tensor('w', 'I8', [2, 48]), dtype: 'Q8_0', byteLength: 102 }]],
    ['an alignment that is no power of two', { 'general.alignment': { type: 'u32', value: 48 } }, []],
    ['an alignment of another type', { 'general.alignment': { type: 'u64', value: 32n } }, []],
    ['a number too large for its type', { a: { type: 'u8', value: 256 } }, []],
    ['a negative number as unsigned', { a: { type: 'array', of: 'u64', values: [-1n] } }, []],
    ['a fraction as an integer', { a: { type: 'i32', value: 0.5 } }, []],
    ['a lone surrogate', { a: { type: 'string', value: '\ud800' } }, []],
  ])('refuses %s, which is a mistake of the caller', async (_, given, tensors) => {
    const file = newFile();
    await expect(GgufWriter.create(file, metadata(given), tensors)).rejects.toThrow(RangeError);
    expect(readdirSync(path.dirname(file))).toEqual([]);
  });
});

describe('what is written', () => {
  const wellFormed = fc.string({ unit: 'binary', maxLength: 10 });
  const key = wellFormed.filter((name) => name !== '' && !name.includes('\0') && !name.startsWith('general.'));
  const scalar: fc.Arbitrary<GgufValue> = fc.oneof(
    fc.record({ type: fc.constant('u8' as const), value: fc.nat(255) }),
    fc.record({ type: fc.constant('i16' as const), value: fc.integer({ min: -32_768, max: 32_767 }) }),
    fc.record({ type: fc.constant('u32' as const), value: fc.integer({ min: 0, max: 2 ** 32 - 1 }) }),
    fc.record({ type: fc.constant('f32' as const), value: fc.float({ noNaN: true }) }),
    fc.record({ type: fc.constant('f64' as const), value: fc.double({ noNaN: true }) }),
    fc.record({ type: fc.constant('i64' as const), value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
    fc.record({ type: fc.constant('bool' as const), value: fc.boolean() }),
    fc.record({ type: fc.constant('string' as const), value: wellFormed }),
  );
  const list: fc.Arbitrary<GgufValue> = fc.oneof(
    fc.record({
      type: fc.constant('array' as const),
      of: fc.constant('string' as const),
      values: fc.array(wellFormed),
    }),
    fc.record({ type: fc.constant('array' as const), of: fc.constant('i32' as const), values: fc.array(fc.integer()) }),
    fc.record({
      type: fc.constant('array' as const),
      of: fc.constant('bool' as const),
      values: fc.array(fc.boolean()),
    }),
  );
  const dtype = fc.constantFrom<Dtype>(
    'F32',
    'F16',
    'BF16',
    'F64',
    'I8',
    'I16',
    'I32',
    'I64',
    'Q8_0',
    'Q4_1',
    'IQ4_NL',
  );
  const shape = fc.array(fc.nat(3), { maxLength: 2 }).map((sizes) => [...sizes, 32]);
  const name = fc.string({ unit: 'binary', maxLength: 12 }).filter((text) => !text.includes('\0'));

  it('is read back, and writes the same file again', async () => {
    const folder = temporaryFolder();
    const tensors = fc.uniqueArray(fc.record({ name, dtype, shape, seed: fc.nat(50) }), {
      selector: (planned) => planned.name,
      maxLength: 6,
    });
    const texts = fc.uniqueArray(fc.tuple(key, fc.oneof(scalar, list)), { selector: ([text]) => text, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(texts, tensors, async (pairs, planned) => {
        const file = path.join(folder, 'model.gguf');
        const written = planned.map((plan) => tensor(plan.name, plan.dtype, plan.shape, plan.seed));
        await writeAll(file, new Map(pairs), written);
        const checkpoint = await openCheckpoint(file);
        const typed = ggufMetadata(checkpoint)!;
        const plain = [...typed].map(([text, value]) => [text, value.type === 'array' ? listed(value) : value]);
        expect(plain).toEqual(pairs);
        for (const { bytes, ...info } of written) {
          expect(checkpoint.tensors.get(info.name)).toEqual(info);
          expect(await checkpoint.read(info.name)).toEqual(bytes);
        }
        await checkpoint.close();
        const again = path.join(folder, 'again.gguf');
        await writeAll(again, typed, written);
        expect(readFileSync(again).equals(readFileSync(file))).toBe(true);
      }),
      { numRuns: 120 },
    );
  });
});

function listed(value: Extract<GgufValue, { type: 'array' }>) {
  return { type: value.type, of: value.of, values: Array.from(value.values as ArrayLike<unknown>) };
}
