import { writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { BirdboneError } from '../../src/errors.js';
import { fileBytes, patterned, temporaryFolder } from '../fixtures/safetensors-file.js';
import { referenceVerdict } from './reference-verdict.js';

const SEED = 20_261_121;
const CASES = 3000;
/** A hang, on a machine that may be busy. One file takes 2 ms. */
const MAX_MILLISECONDS = 5000;

/** A sound file to start from: several types, a scalar, an empty tensor, metadata with an alias. */
const SOUND = fileBytes(
  `{"__metadata__":{"format":"pt","tied":"w.0"},"w.0":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},` +
    `"w.1":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"s":{"dtype":"U8","shape":[],"data_offsets":[32,33]},` +
    `"e":{"dtype":"I64","shape":[0,7],"data_offsets":[33,33]},"p":{"dtype":"F4","shape":[6],"data_offsets":[33,36]}}  `,
  patterned(36),
);

/** Pieces of headers that bring a mutation past the first checks. */
const PIECES = [
  ...[
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    ' ',
    '\n',
    '0',
    '-',
    '.',
    'e',
    '1e400',
    '-0',
    'null',
    'true',
    '{}',
    '[]',
  ],
  ...['"w.0"', '"dtype"', '"shape"', '"data_offsets"', '"__metadata__"', '"__proto__"', '"F32"', '"F6_E2M3"', '"U8"'],
  ...[
    '[0,24]',
    '[24,32]',
    '[0,0]',
    '18446744073709551615',
    '9007199254740993',
    '4194305',
    '\\ud800',
    '\\u0000',
    '\u00ff',
  ],
  ...[
    '"x":{"dtype":"U8","shape":[0],"data_offsets":[33,33]},',
    '"w.0":{"dtype":"U8","shape":[24],"data_offsets":[0,24]},',
  ],
].map((text) => Buffer.from(text));

type Mutation = (file: Buffer) => Buffer;
const position = fc.nat(SOUND.length + 20);
const splice = (at: number, removed: number, inserted: Uint8Array): Mutation => {
  return (file) => Buffer.concat([file.subarray(0, at), inserted, file.subarray(Math.min(file.length, at + removed))]);
};

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(position, fc.nat(255)).map(([at, value]) => splice(at, 1, Uint8Array.of(value))),
  fc.tuple(position, fc.nat(7)).map(
    ([at, bit]): Mutation =>
      (file) => {
        const copy = Buffer.from(file);
        if (at < copy.length) copy[at] = copy[at]! ^ (1 << bit);
        return copy;
      },
  ),
  fc.tuple(position, fc.nat(12), fc.constantFrom(...PIECES)).map(([at, removed, piece]) => splice(at, removed, piece)),
  fc.tuple(position, fc.nat(60)).map(([at, removed]) => splice(at, removed, new Uint8Array(0))),
  fc.tuple(position, position, fc.nat(60)).map(
    ([from, at, length]): Mutation =>
      (file) =>
        splice(at, 0, file.subarray(from, from + length))(file),
  ),
);

/** Most mutations change the header's length; without this step nearly all would fail at that. */
function withHonestLength(file: Buffer): Buffer {
  const copy = Buffer.from(file);
  const headerBytes = copy.length - 8 - 36;
  if (headerBytes >= 0) copy.writeBigUInt64LE(BigInt(headerBytes));
  return copy;
}

async function verdict(file: string): Promise<Map<string, Uint8Array> | BirdboneError> {
  try {
    const checkpoint = await openCheckpoint(file);
    try {
      const read = [...checkpoint.tensors.keys()].map(async (name) => [name, await checkpoint.read(name)] as const);
      return new Map(await Promise.all(read));
    } finally {
      await checkpoint.close();
    }
  } catch (error) {
    // Anything else is a bug, and fails the test as it is.
    if (error instanceof BirdboneError) return error;
    throw error;
  }
}

it(`accepts of ${CASES} mutated files only what the reference accepts, and reads the same from them`, async () => {
  const file = path.join(temporaryFolder(), 'model.safetensors');
  const mutations = fc.array(mutation, { minLength: 1, maxLength: 3 });
  let accepted = 0;
  let refused = 0;
  const property = fc.asyncProperty(mutations, fc.boolean(), async (steps, isHonest) => {
    let bytes: Buffer = SOUND;
    for (const step of steps) bytes = step(bytes);
    if (isHonest) bytes = withHonestLength(bytes);
    writeFileSync(file, bytes);
    const start = performance.now();
    const ours = await verdict(file);
    expect(performance.now() - start).toBeLessThan(MAX_MILLISECONDS);
    if (ours instanceof BirdboneError) {
      refused += 1;
      expect(ours.exitCode).toBe(3);
      expect(ours.file).toBe(file);
      expect(ours.message).toContain(file);
      return;
    }
    accepted += 1;
    const reference = referenceVerdict(bytes);
    expect(reference).toBeDefined();
    expect(new Set(ours.keys())).toEqual(new Set(reference!.keys()));
    for (const [name, read] of ours) expect(Buffer.from(read)).toEqual(Buffer.from(reference!.get(name)!.bytes));
  });
  await fc.assert(property, { numRuns: CASES, seed: SEED });
  // Both verdicts must have been tried in earnest.
  expect(accepted).toBeGreaterThan(CASES / 40);
  expect(refused).toBeGreaterThan(CASES / 4);
});

it('accepts the file that the mutations start from, and the reference does too', async () => {
  const file = path.join(temporaryFolder(), 'model.safetensors');
  writeFileSync(file, SOUND);
  const ours = (await verdict(file)) as Map<string, Uint8Array>;
  expect([...ours.keys()]).toEqual(['e', 'p', 's', 'w.0', 'w.1']);
  expect([...referenceVerdict(SOUND)!.keys()].sort()).toEqual([...ours.keys()]);
});

it('refuses the file at every length that it can be cut to', async () => {
  const file = path.join(temporaryFolder(), 'model.safetensors');
  for (let length = 0; length < SOUND.length; length += 1) {
    writeFileSync(file, SOUND.subarray(0, length));
    expect(await verdict(file)).toMatchObject({ code: 'unreadable', file });
  }
});
