import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { FORMATS, formatNamed } from '../../scripts/fuzz/formats.js';
import { BrokenInvariant } from '../../scripts/fuzz/fuzz-format.js';
import { Random } from '../../scripts/fuzz/random.js';

/** Of each format; `npm run fuzz` does millions (docs/fuzzing.md). */
const MUTATIONS = 4000;
const SEED = 20_261_121;
/** The bar is a second on an idle core; the sample runs beside other tests. */
const MAX_MILLISECONDS = 5000;
const CORPUS = fileURLToPath(new URL('corpus', import.meta.url));

describe.each(FORMATS.map((format) => [format.name, format] as const))('mutated files: %s', (_name, format) => {
  it('opens the sound files that the mutations start from', async () => {
    for (const bytes of format.sound) expect(await format.check(bytes)).toBe('opened');
  });

  it(`opens or refuses each of ${MUTATIONS} mutations as it should`, async () => {
    const verdicts = { opened: 0, refused: 0 };
    for (let index = 0; index < MUTATIONS; index += 1) {
      const bytes = format.mutate(new Random(SEED, index));
      const start = performance.now();
      verdicts[await format.check(bytes)] += 1;
      expect(performance.now() - start, `mutation ${index}`).toBeLessThan(MAX_MILLISECONDS);
    }
    // Both must have been tried in earnest.
    expect(verdicts.opened).toBeGreaterThan(MUTATIONS / 100);
    expect(verdicts.refused).toBeGreaterThan(MUTATIONS / 4);
  });

  it('makes the same mutation from the same number', () => {
    const [first, again, other] = [7, 7, 8].map((index) => Buffer.from(format.mutate(new Random(SEED, index))));
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });
});

const saved = readdirSync(CORPUS).filter((name) => name.endsWith('.bin'));

it.skipIf(saved.length === 0).each(saved)('no longer falls over %s', async (name) => {
  const verdict = await formatNamed(name.split('.')[0]!).check(readFileSync(path.join(CORPUS, name)));
  expect(['opened', 'refused']).toContain(verdict);
});

describe('the oracle', () => {
  const safetensors = formatNamed('safetensors');

  it.each([
    ['a TypeError', new TypeError('x of undefined')],
    ['a RangeError', new RangeError('Invalid array length')],
  ])('takes %s for a finding', async (_name, error) => {
    const { checkRefusal } = await import('../../scripts/fuzz/refusal.js');
    expect(() => checkRefusal(error, '/fuzz/x')).toThrow(error);
  });

  it('takes a refusal that names no file, or the wrong one, for a finding', async () => {
    const { checkRefusal } = await import('../../scripts/fuzz/refusal.js');
    const { BirdboneError } = await import('../../src/errors.js');
    const says = 'Cannot read /fuzz/x: it is broken.';
    checkRefusal(new BirdboneError('unreadable', says, { file: '/fuzz/x' }), '/fuzz/x');
    for (const [code, message, file] of [
      ['unreadable', says, undefined],
      ['unreadable', says, '/fuzz/y'],
      ['unreadable', 'It is broken.', '/fuzz/x'],
      ['unreadable', `${says}\u001b[2J`, '/fuzz/x'],
      ['usage', says, '/fuzz/x'],
    ] as const) {
      const error = new BirdboneError(code, message, file === undefined ? {} : { file });
      expect(() => checkRefusal(error, '/fuzz/x'), message).toThrow(BrokenInvariant);
    }
  });

  it('refuses the files of its own mutations when they are cut short', async () => {
    const whole = safetensors.sound.at(-1)!;
    for (let length = 0; length < whole.length; length += 1)
      expect(await safetensors.check(whole.subarray(0, length))).toBe('refused');
  });
});
