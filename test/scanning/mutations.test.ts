import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../src/checkpoint/files/bytes.js';
import { surveyTorchFile } from '../../src/checkpoint/index.js';
import { bytes, call, dict, pickle, storage, tensor, text } from '../fixtures/pickle-assembler.js';
import { patterned } from '../fixtures/safetensors-file.js';
import { torchZip } from '../fixtures/torch-file.js';

const SEED = 20_261_121;

const saved = (name: string): Buffer =>
  readFileSync(fileURLToPath(new URL(`../fixtures/torch/${name}`, import.meta.url)));
const EVIL = pickle(call('os', 'system', text('id')));
const W = dict([text('w'), tensor(storage('FloatStorage', '0', 4), { shape: [4], strides: [1] })]);

/** What mutations start from, and what brings them past the first checks. */
const BASES = [
  torchZip(pickle(W), [patterned(16)]),
  saved('legacy-protocol-1.pt'),
  saved('plain-protocol-4.pkl'),
  EVIL,
];
const PIECES = [
  'PK\x03\x04',
  'PK\x01\x02',
  'PK\x05\x06',
  '\x80\x02',
  '\x80\x04\x95',
  '(',
  '.',
  'R',
  'b',
  '\x93',
  '\x94',
  'q\0',
  'h\0',
]
  .map((piece) => bytes(piece))
  .concat(EVIL, Buffer.alloc(8, 0xff));

const mutation = fc.record({
  at: fc.nat(8000),
  removed: fc.nat(12),
  inserted: fc.oneof(fc.constantFrom(...PIECES), fc.uint8Array({ maxLength: 8 })),
});

describe('a survey of a mutated file', () => {
  it('comes to an end, whatever the bytes', () => {
    const hostile = fc.tuple(fc.constantFrom(...BASES), fc.array(mutation, { minLength: 1, maxLength: 5 }));
    fc.assert(
      fc.property(hostile, ([base, mutations]) => {
        let file: Uint8Array = base;
        for (const { at, removed, inserted } of mutations) {
          const place = at % (file.length + 1);
          file = bytes(file.subarray(0, place), inserted, file.subarray(place + removed));
        }
        const survey = surveyTorchFile(memorySource('mutated', file));
        for (const { start, end } of survey?.pickles ?? []) expect(end).toBeGreaterThanOrEqual(start);
      }),
      { numRuns: 3000, seed: SEED },
    );
  });

  it('finds a call that is in front of any bytes', () => {
    const broken = EVIL.subarray(0, -1);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (rest) => {
        const survey = surveyTorchFile(memorySource('mutated', bytes(broken, rest)));
        expect(survey?.pickles[0]?.globals).toMatchObject([{ module: 'os', name: 'system', allowed: false }]);
      }),
      { numRuns: 1000, seed: SEED },
    );
  });
});
