import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { historyOf, isWhole, referencedWaves } from '../../src/state/history.js';
import type { JournalBody, JournalRecord } from '../../src/state/journal.js';
import { moved, stateAfter, waveOf } from '../../src/state/wave-state.js';

const TENSORS = ['a', 'b', 'c', '__proto__'];

function recordsOf(bodies: readonly JournalBody[]): JournalRecord[] {
  return bodies.map((body, index) => ({ seq: index + 1, at: '', digest: '', ...body }));
}

function wave(number: number, verdict: 'committed' | 'rolled-back' = 'committed', tensors = TENSORS): JournalBody {
  return { type: 'wave', wave: number, verdict, layers: tensors.map((name) => ({ name, sparsity: number / 10 })) };
}

const fold = (...bodies: JournalBody[]) => historyOf(recordsOf(bodies));
const activeOf = (past: ReturnType<typeof historyOf>) =>
  past.waves.filter(({ active }) => active).map((found) => found.wave);
const partial = (at: number, tensors: [string, number][]) => ({
  type: 'rollback',
  to: 0,
  state: { wave: at, tensors },
});

describe('the state that a journal tells', () => {
  it('is the dense base before the first wave, and the last kept wave while a run goes on', () => {
    expect(fold({ type: 'begin' }).state).toEqual(stateAfter(0));
    expect(fold(wave(1), wave(2), wave(3, 'rolled-back')).state).toEqual(stateAfter(2));
  });

  it('is where a rollback put it; a record from before partial rollbacks has the number alone', () => {
    const past = fold(wave(1), wave(2), wave(3), { type: 'rollback', to: 2 });
    expect([past.state, activeOf(past), isWhole(past)]).toEqual([stateAfter(2), [1, 2], false]);
    const forward = fold(wave(1), wave(2), { type: 'rollback', to: 0 }, { type: 'rollback', to: 2 });
    expect([activeOf(forward), isWhole(forward)]).toEqual([[1, 2], true]);
  });

  it('has a partial rollback tensor by tensor; a wave counts as long as one tensor has it', () => {
    const past = fold(wave(1), wave(2), partial(2, [['a', 0]]));
    expect(TENSORS.map(waveOf(past.state))).toEqual([0, 2, 2, 2]);
    expect(activeOf(past)).toEqual([1, 2]);
    const onlyOne = fold(wave(1, 'committed', ['a']), wave(2, 'committed', ['a', 'b']), partial(2, [['a', 0]]));
    expect(activeOf(onlyOne)).toEqual([2]);
  });

  it('is the plain state where tensors moved one by one end at the same wave', () => {
    const everywhere = TENSORS.map((name): [string, number] => [name, 1]);
    expect(fold(wave(1), wave(2), partial(2, everywhere)).state).toEqual(stateAfter(1));
  });

  it('counts a wave that the gate rolled back as the kept one before it', () => {
    const waves = [wave(1), wave(2, 'rolled-back'), wave(3)];
    expect(fold(...waves, { type: 'rollback', to: 2 }).state).toEqual(stateAfter(1));
    expect(fold(...waves, partial(3, [['a', 2]])).state).toEqual({ wave: 3, tensors: [['a', 1]] });
  });

  it('keeps what a tag needs, until the tag is taken away', () => {
    const waves = [wave(1), wave(2), wave(3)];
    const tag = { type: 'tag', name: 'best', state: { wave: 3, tensors: [['a', 1]] } };
    const rolledBack = fold(...waves, tag, { type: 'rollback', to: 0 });
    expect([...referencedWaves(rolledBack)]).toEqual([1, 2, 3]);
    expect(rolledBack.tags).toEqual([{ name: 'best', state: { wave: 3, tensors: [['a', 1]] } }]);
    const untagged = fold(...waves, tag, { type: 'rollback', to: 0 }, { type: 'untag', name: 'best' });
    expect([...referencedWaves(untagged)]).toEqual([]);
  });

  it('keeps what is published until a rollback has ended', () => {
    const published = [wave(1), wave(2), { type: 'publish' }, { type: 'published', manifest: 'a' }];
    const begun = [...published, { type: 'rollback', to: 1 }];
    expect([...referencedWaves(fold(...begun))].sort()).toEqual([1, 2]);
    expect([...referencedWaves(fold(...begun, { type: 'publish' }))].sort()).toEqual([1, 2]);
    const ended = fold(...begun, { type: 'publish' }, { type: 'published', manifest: 'b' });
    expect([...referencedWaves(ended)]).toEqual([1]);
  });

  it('refuses a record of a type that it does not know, and a state of another form', () => {
    expect(() => fold(wave(1), { type: 'merge' })).toThrow(
      expect.objectContaining({ code: 'unsupported', message: expect.stringMatching(/Record 2 .*"merge"/) }),
    );
    expect(() => fold({ type: 'toString' })).toThrow(/"toString"/);
    for (const state of [
      null,
      {},
      { wave: -1, tensors: [] },
      { wave: 1, tensors: [['a']] },
      { wave: 1.5, tensors: [] },
    ])
      expect(() => fold(wave(1), { type: 'tag', name: 'x', state })).toThrow(/Record 2 .* has no valid field "state"/);
    const broken = { ...wave(1), layers: [{ name: 'a' }] };
    const malformed: JournalBody[] = [
      broken,
      { ...wave(1), verdict: 'maybe' },
      { ...wave(1), wave: '1' },
      { type: 'wave' },
    ];
    for (const body of [
      ...malformed,
      { type: 'finish' },
      { type: 'rollback' },
      { type: 'untag' },
      { type: 'evidence', files: 1 },
    ])
      expect(() => fold(body)).toThrow(expect.objectContaining({ code: 'unreadable' }));
  });
});

/** What a user does after a run: all tensors or some of them go to a wave, or to where a tag says. */
type Act =
  | { readonly to: number; readonly tensors: readonly string[] | undefined }
  | { readonly tag: string }
  | { readonly toTag: string; readonly tensors: readonly string[] | undefined };

const tensorSet = fc.option(fc.subarray(TENSORS, { minLength: 1 }), { nil: undefined });
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ to: fc.integer({ min: 0, max: 5 }), tensors: tensorSet }),
  fc.record({ tag: fc.constantFrom('x', 'y') }),
  fc.record({ toTag: fc.constantFrom('x', 'y'), tensors: tensorSet }),
);

it('has for each tensor the waves that a table of tensors and waves has, whatever is done', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), fc.array(act), (verdicts, acts) => {
      const bodies = verdicts.map((kept, index) => wave(index + 1, kept ? 'committed' : 'rolled-back'));
      const kept = verdicts.flatMap((isKept, index) => (isKept ? [index + 1] : []));
      let table = new Map(TENSORS.map((name) => [name, kept.at(-1) ?? 0]));
      const tags = new Map<string, Map<string, number>>();
      for (const done of acts) {
        const past = fold(...bodies);
        if ('tag' in done) {
          tags.set(done.tag, new Map(table));
          bodies.push({ type: 'tag', name: done.tag, state: past.state });
          continue;
        }
        const there = 'to' in done ? new Map(TENSORS.map((name) => [name, done.to])) : tags.get(done.toTag);
        const target = 'to' in done ? stateAfter(done.to) : past.tags.find(({ name }) => name === done.toTag)?.state;
        expect(target === undefined).toBe(there === undefined);
        if (target === undefined || there === undefined) continue;
        const names = done.tensors ?? TENSORS;
        table = new Map(TENSORS.map((name) => [name, (names.includes(name) ? there : table).get(name)!]));
        bodies.push({ type: 'rollback', to: 0, state: moved(past.state, target, done.tensors) });
      }
      const past = fold(...bodies);
      const wavesUpTo = (last: number) => kept.filter((number) => number <= last);
      const at = waveOf(past.state);
      for (const name of TENSORS) expect(wavesUpTo(at(name))).toEqual(wavesUpTo(table.get(name)!));
      const inAny = (one: Map<string, number>) => wavesUpTo(Math.max(...one.values()));
      expect(activeOf(past)).toEqual(inAny(table));
      const needed = new Set([table, ...tags.values()].flatMap(inAny));
      expect([...referencedWaves(past)].sort()).toEqual([...needed].sort());
    }),
  );
});
