import { describe, expect, it } from 'vitest';
import { historyOf, type JournalBody, stateFolder } from '../../src/state/index.js';
import { destinationOf } from '../../src/waves/impact.js';
import { f32, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

const wave = (number: number): JournalBody => ({
  type: 'wave',
  wave: number,
  verdict: 'committed',
  layers: ['embed', 'up', 'down'].map((name) => ({ name, sparsity: number / 10 })),
});

const past = historyOf([wave(1), wave(2)].map((body, index) => ({ seq: index + 1, at: '', digest: '', ...body })));
const tensors = Object.fromEntries(['embed', 'up', 'down', 'norm'].map((name) => [name, f32([1], [1])]));
const checkpoint = memoryCheckpoint(tensors, { aliases: { head: 'embed' } });
const folder = stateFolder('/nowhere/out');
const to = (wave: number | string, ...globs: string[]) =>
  destinationOf({ to: wave, ...(globs.length > 0 && { tensors: globs }) }, past, { folder, checkpoint });

describe('destinationOf', () => {
  it('moves the stored tensor when its tied name matches', () => {
    expect(to(1, 'head')).toMatchObject({ matched: ['embed'], target: { wave: 2, tensors: [['embed', 1]] } });
    expect(to(1, '{head,embed}').target).toEqual(to(1, 'head').target);
  });

  it('is the plain state when every tensor that waves change goes along', () => {
    expect(to(1, '*').target).toEqual({ wave: 1, tensors: [] });
    expect(to(1, 'embed', '{up,down}').target).toEqual({ wave: 1, tensors: [] });
  });

  it('is where things are when only tensors that no wave changes match', () => {
    expect(to(0, 'norm')).toMatchObject({ matched: ['norm'], target: past.state });
  });

  it('takes a point by number, as text, and by the names that every output has', () => {
    expect([to('1').target, to('dense').target, to('current').target]).toEqual([
      to(1).target,
      to(0).target,
      past.state,
    ]);
    expect(() => to('1.5')).toThrow(/no tag "1.5"/);
    expect(() => to(-1)).toThrow(/no wave -1/);
    expect(() => to(3)).toThrow(/waves 1 to 2/);
  });
});
