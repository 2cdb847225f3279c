import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearest } from '../src/nearest.js';

const commands = ['inspect', 'evaluate', 'score', 'prune', 'hash', 'verify', 'diff', 'log', 'rollback', 'gc', 'plan'];

describe('nearest', () => {
  it.each([
    ['prnue', 'prune'],
    ['evalute', 'evaluate'],
    ['PLAN', 'plan'],
    ['rolback', 'rollback'],
    ['hahs', 'hash'],
  ])('takes %s for %s', (typed, meant) => {
    expect(nearest(typed, commands)[0]).toBe(meant);
  });

  it('offers nothing that is far away', () => {
    expect(nearest('quantize', commands)).toEqual([]);
  });

  it('puts the name itself first, whatever else is near', () => {
    fc.assert(
      fc.property(fc.constantFrom(...commands), (name) => {
        expect(nearest(name, commands)[0]).toBe(name);
      }),
    );
  });

  it('finds a name after any one swap of neighbours', () => {
    fc.assert(
      fc.property(fc.constantFrom(...commands.filter((name) => name.length > 4)), fc.nat(), (name, random) => {
        const at = random % (name.length - 1);
        const swapped = name.slice(0, at) + name[at + 1] + name[at] + name.slice(at + 2);
        expect(nearest(swapped, commands)).toContain(name);
      }),
    );
  });
});
