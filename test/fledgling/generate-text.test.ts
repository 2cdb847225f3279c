import { describe, expect, it } from 'vitest';
import { documents, END_OF_TEXT, joinDocuments, take } from '../../scripts/fledgling/generate-text.js';
import { createRandom } from '../../scripts/fledgling/random.js';

describe('documents', () => {
  it('are the same for the same seed and others for another', () => {
    const first = take(documents(4), 20_000);
    expect(take(documents(4), 20_000)).toEqual(first);
    const other = new Set(take(documents(5), 20_000));
    expect(first.filter((document) => other.has(document))).toEqual([]);
  });

  it('leave out what they are told to, and nothing else', () => {
    const all = take(documents(4), 20_000);
    const except = new Set(all.filter((_, i) => i % 3 === 0));
    const rest = documents(4, except);
    for (const document of all.filter((candidate) => !except.has(candidate))) expect(rest.next().value).toBe(document);
  });

  it('are lines of plain ASCII that end in a newline and hold no blank line', () => {
    for (const document of take(documents(6), 100_000)) expect(document).toMatch(/^(?:[\x20-\x7e]+\n)+$/);
  });

  it('are parted by the end-of-text token alone', () => {
    const list = take(documents(6), 2000);
    expect(joinDocuments(list).split(END_OF_TEXT)).toEqual(list);
  });
});

describe('random draws', () => {
  it('repeat for a seed, with the values of the published mulberry32', () => {
    const random = createRandom(1);
    const draws = Array.from({ length: 3 }, () => random.next() * 2 ** 32);
    expect(draws).toEqual([2693262067, 11749833, 2265367787]);
  });

  it('cover their range evenly, ends included', () => {
    const random = createRandom(9);
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 60_000; i += 1) counts[random.integer(0, 5)]! += 1;
    // Six standard deviations of a count of 60 000 draws at 1/6.
    for (const count of counts)
      expect(Math.abs(count - 10_000)).toBeLessThan(6 * Math.sqrt(60_000 * (1 / 6) * (5 / 6)));
  });

  it('are normal with mean 0 and variance 1', () => {
    const random = createRandom(9);
    const values = Array.from({ length: 50_000 }, () => random.normal());
    const mean = values.reduce((total, value) => total + value, 0) / values.length;
    const variance = values.reduce((total, value) => total + (value - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.02);
    expect(Math.abs(variance - 1)).toBeLessThan(0.03);
  });

  it('sample without repetition, every element', () => {
    const sampled = createRandom(2).sample([1, 2, 3, 4, 5], 5);
    expect([...sampled].sort()).toEqual([1, 2, 3, 4, 5]);
  });
});
