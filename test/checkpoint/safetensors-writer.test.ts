import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openCheckpoint, SafetensorsWriter, type TensorInfo } from '../../src/checkpoint/index.js';
import { DTYPES, type Dtype, ELEMENT_DTYPES } from '../../src/tensor/index.js';
import { patterned, temporaryFolder } from '../fixtures/safetensors-file.js';

interface Tensor extends TensorInfo {
  readonly bytes: Uint8Array;
}

function tensor(name: string, dtype: Dtype, shape: readonly number[], seed = 1): Tensor {
  const byteLength = (shape.reduce((product, size) => product * size, 1) * DTYPES[dtype].bits) / 8;
  return { name, dtype, shape, byteLength, bytes: patterned(byteLength, seed) };
}

async function writeAll(file: string, tensors: readonly Tensor[], metadata: Record<string, string> = {}) {
  const writer = await SafetensorsWriter.create(file, tensors, metadata);
  for (const { name, bytes } of tensors) await writer.write(name, 0, bytes);
  await writer.commit();
}

/** The header's text, by the format's definition alone. */
function headerOf(file: string): string {
  const bytes = readFileSync(file);
  return bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString('utf8');
}

const newFile = () => path.join(temporaryFolder(), 'model.safetensors');

describe('SafetensorsWriter', () => {
  it('writes the bytes of the reference: test_serialization of safetensors/src/tensor.rs', async () => {
    const file = newFile();
    const bytes = new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer);
    await writeAll(file, [{ ...tensor('attn.0', 'F32', [1, 2, 3]), bytes }]);
    const header = '{"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}}';
    expect(readFileSync(file)).toEqual(
      Buffer.concat([Buffer.from([64, 0, 0, 0, 0, 0, 0, 0]), Buffer.from(header), bytes]),
    );
  });

  it('pads the header with spaces to 8 bytes, as test_serialization_forced_alignement there', async () => {
    const file = newFile();
    await writeAll(file, [tensor('attn0', 'F32', [1, 1, 2, 3])]);
    expect(headerOf(file)).toBe('{"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}       ');
  });

  it('writes no tensors, with and without metadata, as test_empty there', async () => {
    const bare = newFile();
    await writeAll(bare, []);
    expect([...readFileSync(bare)]).toEqual([8, 0, 0, 0, 0, 0, 0, 0, ...Buffer.from('{}      ')]);
    const described = newFile();
    await writeAll(described, [], { framework: 'pt' });
    expect([...readFileSync(described)]).toEqual([
      ...[40, 0, 0, 0, 0, 0, 0, 0],
      ...Buffer.from('{"__metadata__":{"framework":"pt"}}     '),
    ]);
  });

  it('orders by element type, the widest first, then by name', async () => {
    const file = newFile();
    const tensors = [
      tensor('a', 'U8', [3]),
      tensor('z', 'F32', [1]),
      tensor('b', 'F32', [1]),
      tensor('c', 'I32', [1]),
      tensor('d', 'BF16', [1]),
      tensor('e', 'F16', [1]),
      tensor('f', 'I64', [1]),
      tensor('g', 'F64', [1]),
      tensor('h', 'BOOL', [1]),
    ];
    await writeAll(file, tensors);
    // F64 < I64, I32 < F32 and F16 < BF16 are the order of the reference's enumeration.
    expect(Object.keys(JSON.parse(headerOf(file)) as object)).toEqual(['f', 'g', 'b', 'z', 'c', 'd', 'e', 'a', 'h']);
  });

  it('orders names by code point, as UTF-8 does, and keeps names that look like numbers in place', async () => {
    const file = newFile();
    await writeAll(
      file,
      ['🦴', '\uffee', '10', '9', 'a'].map((name) => tensor(name, 'U8', [1])),
    );
    const names = [...headerOf(file).matchAll(/"([^"]+)":\{/g)].map(([, name]) => name);
    expect(names).toEqual(['10', '9', 'a', '\uffee', '🦴']);
  });

  it('writes the same file whatever order it is told in', async () => {
    const tensors = [tensor('a', 'U8', [3], 1), tensor('b', 'F32', [2, 2], 2), tensor('c', 'F32', [1], 3)];
    const [first, second] = [newFile(), newFile()];
    await writeAll(first, tensors, { x: '1', a: '2' });
    await writeAll(second, [...tensors].reverse(), { a: '2', x: '1' });
    expect(readFileSync(first)).toEqual(readFileSync(second));
  });

  it('leaves no file under the name, and none at all, until and unless it commits', async () => {
    const file = newFile();
    const writer = await SafetensorsWriter.create(file, [tensor('a', 'U8', [4])], {});
    await writer.write('a', 0, patterned(4));
    expect(readdirSync(path.dirname(file))).not.toContain('model.safetensors');
    await writer.abort();
    await writer.abort();
    expect(readdirSync(path.dirname(file))).toEqual([]);
  });

  it('keeps the file that was there until it commits', async () => {
    const file = newFile();
    writeFileSync(file, 'before');
    const writer = await SafetensorsWriter.create(file, [tensor('a', 'U8', [4])], {});
    await writer.write('a', 0, patterned(4));
    expect(readFileSync(file, 'utf8')).toBe('before');
    await writer.commit();
    expect(headerOf(file)).toContain('"a"');
    expect(readdirSync(path.dirname(file))).toEqual(['model.safetensors']);
  });

  it('takes a tensor in parts, tensors in any order, and refuses gaps, repeats and excess', async () => {
    const file = newFile();
    const [a, b] = [tensor('a', 'U8', [10], 1), tensor('b', 'U8', [5], 2)];
    const writer = await SafetensorsWriter.create(file, [a, b], {});
    await writer.write('b', 0, b.bytes.slice(0, 2));
    await writer.write('a', 0, a.bytes);
    await expect(writer.write('b', 3, b.bytes.slice(3))).rejects.toThrow(RangeError);
    await expect(writer.write('b', 0, b.bytes.slice(0, 2))).rejects.toThrow(RangeError);
    await expect(writer.write('b', 2, new Uint8Array(4))).rejects.toThrow(RangeError);
    await expect(writer.write('c', 0, new Uint8Array(1))).rejects.toThrow(RangeError);
    await expect(writer.commit()).rejects.toThrow('2 of 5 bytes of b');
    await writer.write('b', 2, b.bytes.slice(2));
    await writer.commit();
    const checkpoint = await openCheckpoint(file);
    expect(await checkpoint.read('b')).toEqual(b.bytes);
    await checkpoint.close();
  });

  it.each([
    ['two tensors of one name', [tensor('a', 'U8', [1]), tensor('a', 'U8', [1])]],
    ['a shape that takes another number of bytes', [{ ...tensor('a', 'U8', [4]), byteLength: 3 }]],
    ['half a byte', [{ ...tensor('a', 'F4', [2]), shape: [3], byteLength: 1 }]],
    ['a tensor called __metadata__', [tensor('__metadata__', 'U8', [1])]],
    ['a lone surrogate', [tensor('a\ud800', 'U8', [1])]],
  ])('refuses %s, which is a mistake of the caller', async (_, tensors) => {
    const file = newFile();
    await expect(SafetensorsWriter.create(file, tensors, {})).rejects.toThrow(RangeError);
    expect(readdirSync(path.dirname(file))).toEqual([]);
  });
});

describe('what is written', () => {
  /** Shapes whose bits fill whole bytes for every type: the last dimension is a multiple of 4. */
  const shape = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }).map((sizes) => [...sizes, 4]);
  const dtype = fc.constantFrom(...ELEMENT_DTYPES);
  const wellFormed = fc.string({ unit: 'binary', maxLength: 12 });
  const name = wellFormed.filter((text) => text !== '__metadata__');

  it('is read back, for every element type, shape, name and metadata', async () => {
    const folder = temporaryFolder();
    const tensors = fc.uniqueArray(fc.record({ name, dtype, shape, seed: fc.nat(50) }), {
      selector: (t) => t.name,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(tensors, fc.dictionary(wellFormed, wellFormed, { maxKeys: 4 }), async (planned, metadata) => {
        const written = planned.map((plan) => tensor(plan.name, plan.dtype, plan.shape, plan.seed));
        const file = path.join(folder, 'model.safetensors');
        await writeAll(file, written, metadata);
        const checkpoint = await openCheckpoint(file);
        try {
          expect(new Set(checkpoint.tensors.keys())).toEqual(new Set(written.map((t) => t.name)));
          expect(Object.entries(checkpoint.metadata).sort()).toEqual(Object.entries(metadata).sort());
          for (const { bytes, ...info } of written) {
            expect(checkpoint.tensors.get(info.name)).toEqual(info);
            expect(await checkpoint.read(info.name)).toEqual(bytes);
          }
        } finally {
          await checkpoint.close();
        }
      }),
      { numRuns: 150 },
    );
  });

  it('starts every tensor at a multiple of its element size', async () => {
    const file = newFile();
    await writeAll(
      file,
      ELEMENT_DTYPES.map((dtype) => tensor(`t.${dtype}`, dtype, [3, 4])),
    );
    const dataStart = 8 + Buffer.byteLength(headerOf(file));
    for (const entry of Object.values(
      JSON.parse(headerOf(file)) as Record<string, { dtype: Dtype; data_offsets: number[] }>,
    )) {
      const elementBytes = Math.max(1, DTYPES[entry.dtype].bits / 8);
      expect((dataStart + entry.data_offsets[0]!) % elementBytes).toBe(0);
    }
  });

  it('keeps every bit pattern: NaN payloads, signalling NaNs, −0, denormals', async () => {
    const file = newFile();
    const patterns = Uint32Array.of(0x7fc00001, 0x7f800001, 0xffffffff, 0x80000000, 0x00000001, 0x7f800000);
    const bytes = new Uint8Array(patterns.buffer);
    await writeAll(file, [{ ...tensor('w', 'F32', [6]), bytes }]);
    const checkpoint = await openCheckpoint(file);
    expect(await checkpoint.read('w')).toEqual(bytes);
    await checkpoint.close();
  });
});
