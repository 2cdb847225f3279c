import { constants, deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/random.js';
import { isDense } from '../../src/store/delta/density.js';

const PART = 7 / 8;
const LENGTH = 32_768;
const random = seededRandom(5);
const bytes = (next: (index: number) => number) => Uint8Array.from({ length: LENGTH }, (_, index) => next(index));
const noise = bytes(() => random.below(256));
/** Two numbers of 4 bits with the spread of a sum of four: the codes of weights. */
const nibble = () => Math.floor((random.below(16) + random.below(16) + random.below(16) + random.below(16)) / 4);

const deflated = (values: Uint8Array) =>
  Math.min(
    ...[{ strategy: constants.Z_HUFFMAN_ONLY }, { strategy: constants.Z_RLE }, { level: 6 }].map(
      (way) => deflateRawSync(values, { ...way, memLevel: 9 }).length,
    ),
  );

describe('bytes that are not deflated on trial', () => {
  it.each([
    ['noise', noise, true],
    ['132 values, each as likely', bytes(() => random.below(132)), true],
    ['112 values, each as likely', bytes(() => 2 * random.below(112)), false],
    ['two codes of 4 bits', bytes(() => nibble() * 16 + nibble()), false],
    ['noise that comes again', bytes((index) => noise[index % 4096]!), false],
    ['noise of which a sixteenth comes again', bytes((index) => noise[index % (LENGTH - 2048)]!), false],
    ['zeros', new Uint8Array(LENGTH), false],
  ])('%s', (_, values, dense) => {
    expect(isDense(values, PART)).toBe(dense);
    // What is told without deflating is what deflating would tell.
    if (dense) expect(deflated(values)).toBeGreaterThanOrEqual(PART * LENGTH);
  });
});
