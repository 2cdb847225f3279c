import { writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { BirdboneError } from '../../src/errors.js';
import { array, entry, f32, ggufBytes, pair, text, u8, u32, u64 } from '../fixtures/gguf-file.js';
import { patterned, temporaryFolder } from '../fixtures/safetensors-file.js';
import { ggufVerdicts } from '../llama/gguf-verdicts.js';
import { llamaMissing } from '../llama/llama.js';

const SEED = 20_261_121;
const CASES = 1500;
/** A hang, on a machine that may be busy. One file takes 2 ms. */
const MAX_MILLISECONDS = 5000;

const PAIRS = [
  pair('general.architecture', 'string', text('llama')),
  pair('general.alignment', 'u32', u32(32)),
  pair('flag', 'bool', u8(1)),
  pair('tokens', 'array', array('string', [text('a'), text('▁b'), text('')])),
  pair('scores', 'array', array('f32', [f32(-1), f32(0)])),
];
const ENTRIES = [
  entry({ name: 'w.0', ne: [3, 2] }),
  entry({ name: 'q', ne: [64], type: 8, offset: 32 }),
  entry({ name: 's', ne: [], type: 24, offset: 128 }),
  entry({ name: 'e', ne: [0, 7], type: 27, offset: 160 }),
];
/** A sound file to start from: several types, a scalar, an empty tensor, all kinds of metadata. */
const SOUND = ggufBytes({ pairs: PAIRS, entries: ENTRIES, data: patterned(160) });

/** Pieces of headers that bring a mutation past the first checks. */
const PIECES = [
  ...[0, 1, 2, 3, 31, 32, 33, 63, 64, 128, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53].map(u64),
  ...[0, 1, 2, 4, 5, 8, 9, 12, 13, 32, 2 ** 31, 2 ** 32 - 1].map(u32),
  ...[2n ** 63n, 2n ** 64n - 1n, 2n ** 64n - 32n].map(u64),
  ...PAIRS,
  ...ENTRIES,
  pair('nested', 'array', array('array', [array('u8', [u8(1)])])),
  Buffer.of(0xff, 0xfe),
];

type Mutation = (file: Buffer) => Buffer;
const position = fc.nat(SOUND.length + 10);
const splice = (at: number, removed: number, inserted: Uint8Array): Mutation => {
  return (file) => Buffer.concat([file.subarray(0, at), inserted, file.subarray(Math.min(file.length, at + removed))]);
};
/** Where the numbers of the sound file are likely to be: eight bytes or four, replaced in place. */
const replaced = fc
  .tuple(position, fc.constantFrom(...PIECES.slice(0, 29)))
  .map(([at, piece]) => splice(at, piece.length, piece));

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(position, fc.nat(255)).map(([at, value]) => splice(at, 1, Uint8Array.of(value))),
  replaced,
  replaced,
  fc.tuple(position, fc.nat(12), fc.constantFrom(...PIECES)).map(([at, removed, piece]) => splice(at, removed, piece)),
  fc.tuple(position, fc.nat(60)).map(([at, removed]) => splice(at, removed, new Uint8Array(0))),
);

interface Verdict {
  readonly file: string;
  /** The tensors' bytes, when we accept. */
  readonly tensors: ReadonlyMap<string, Uint8Array> | undefined;
  readonly bytes: Buffer;
}

async function verdict(file: string, bytes: Buffer): Promise<Verdict> {
  const start = performance.now();
  try {
    const checkpoint = await openCheckpoint(file);
    const tensors = new Map<string, Uint8Array>();
    for (const name of checkpoint.tensors.keys()) tensors.set(name, await checkpoint.read(name));
    await checkpoint.close();
    return { file, tensors, bytes };
  } catch (error) {
    // Anything else is a bug, and fails the test as it is.
    if (!(error instanceof BirdboneError)) throw error;
    expect(error).toMatchObject({ exitCode: 3, file, message: expect.stringContaining(file) });
    return { file, tensors: undefined, bytes };
  } finally {
    expect(performance.now() - start).toBeLessThan(MAX_MILLISECONDS);
  }
}

/** The verdicts on the mutated files, which stay in the folder. */
async function verdicts(folder: string): Promise<Verdict[]> {
  const given: Verdict[] = [];
  const property = fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 2 }), async (steps) => {
    const bytes = steps.reduce<Buffer>((file, step) => step(file), SOUND);
    const file = path.join(folder, `${given.length}.gguf`);
    writeFileSync(file, bytes);
    given.push(await verdict(file, bytes));
  });
  await fc.assert(property, { numRuns: CASES, seed: SEED });
  return given;
}

it(`refuses or reads ${CASES} mutated files, and fails at none`, async () => {
  const given = await verdicts(temporaryFolder());
  const accepted = given.filter(({ tensors }) => tensors !== undefined);
  // Both verdicts must have been tried in earnest.
  expect(accepted.length).toBeGreaterThan(CASES / 20);
  expect(given.length - accepted.length).toBeGreaterThan(CASES / 4);
});

describe.skipIf(llamaMissing)(`against llama.cpp${llamaMissing ? ` (${llamaMissing})` : ''}`, () => {
  it('accepts only what llama.cpp accepts, but for nested arrays, and reads the same bytes', async () => {
    const given = (await verdicts(temporaryFolder())).filter(
      ({ tensors, bytes }) => tensors !== undefined && !bytes.includes('nested'),
    );
    const reference = ggufVerdicts(given.map(({ file }) => file));
    for (const [i, { file, tensors, bytes }] of given.entries()) {
      const found = reference[i]!;
      if (typeof found === 'string') throw new Error(`${file}: llama.cpp ${found} it.`);
      expect(new Set(found.map(({ name }) => name))).toEqual(new Set(tensors!.keys()));
      for (const { name, start, byteLength } of found) {
        expect(Buffer.from(tensors!.get(name)!)).toEqual(bytes.subarray(start, start + byteLength));
      }
    }
  });
});
