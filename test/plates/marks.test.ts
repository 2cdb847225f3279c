import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Marks, type Plate, plateGraph } from '../../src/plates/index.js';
import { llamaDecoder } from './tiny-decoders.js';

const sizes = { blocks: 3, hidden: 6, heads: 4, kvHeads: 2, headDim: 2, ffn: 5, vocabulary: 7 };
const graph = plateGraph(llamaDecoder(sizes));
const everyPlate: Plate[] = graph.kinds.flatMap((kind) => [...graph.plates(kind)]);
const somePlates = fc.subarray(everyPlate);

describe('marks as a set of plates', () => {
  test('with and without agree with sets of ids, and leave the original as it was', () => {
    fc.assert(
      fc.property(somePlates, somePlates, (first, second) => {
        const marks = Marks.of(first);
        const ids = new Set(first.map(({ id }) => id));
        const both = new Set([...first, ...second].map(({ id }) => id));
        const left = first.filter((plate) => !second.includes(plate)).map(({ id }) => id);
        expect(new Set(marks.with(second).ids())).toEqual(both);
        expect(marks.with(second).size).toBe(both.size);
        expect(new Set(marks.with(Marks.of(second)).ids())).toEqual(both);
        expect([...marks.without(second).ids()]).toEqual(left);
        expect([...marks.without(Marks.of(second)).ids()]).toEqual(left);
        expect(marks.isEmpty).toBe(first.length === 0);
        for (const { id } of everyPlate) expect(marks.has(id)).toBe(ids.has(id));
      }),
    );
  });

  test('are read back from their JSON, whose text does not depend on how the set came about', () => {
    fc.assert(
      fc.property(somePlates, (plates) => {
        const marks = Marks.of(plates);
        const text = JSON.stringify(marks);
        expect([...Marks.from(JSON.parse(text), graph, 'the journal').ids()]).toEqual([...marks.ids()]);
        expect(JSON.stringify(plates.toReversed().reduce((set, plate) => set.with([plate]), Marks.none))).toBe(text);
      }),
    );
  });

  test('take a line, not a list', () => {
    const marks = Marks.of([
      ...graph.plates('ffn-channel', 1),
      graph.plate('kv-group:2:1'),
      graph.plate('attention:0'),
    ]);
    expect(JSON.stringify(marks.with([graph.plate('attention:2')]))).toBe(
      '{"ffn-channel":{"1":"0-4"},"kv-group":{"2":"1"},"attention":"0,2"}',
    );
  });
});

describe('marks from a hostile file', () => {
  const deep = JSON.parse(`${'{"ffn-channel":'.repeat(500)}1${'}'.repeat(500)}`) as unknown;
  test.each([
    ['null', null],
    ['a list', []],
    ['a text', 'ffn-channel'],
    ['an unknown kind', { channel: '0' }],
    ['a key of every object', JSON.parse('{"__proto__": "0"}')],
    ['a constructor', { constructor: '0' }],
    ['a number for a text', { hidden: 3 }],
    ['a text where blocks are named', { 'ffn-channel': '0-4' }],
    ['blocks where there are none', { hidden: { 0: '0' } }],
    ['a block too many', { 'ffn-channel': { 3: '0' } }],
    ['a block below 0', { 'ffn-channel': { '-1': '0' } }],
    ['a block with a leading zero', { 'ffn-channel': { '01': '0' } }],
    ['a block of another sort', { 'ffn-channel': { '1.0': '0' } }],
    ['a channel too many', { 'ffn-channel': { 1: '0-5' } }],
    ['an expert of a dense model', { expert: { 0: '0' } }],
    ['a sub-block too many', { attention: '3' }],
    ['a count far beyond', { hidden: '0-999999999999' }],
    ['a list longer than the model', { vocabulary: '0,'.repeat(1_000_000) }],
    ['objects in objects', deep],
  ])('%s is refused', (_, json) => {
    const started = performance.now();
    expect(() => Marks.from(json, graph, 'journal.jsonl')).toThrow(
      expect.objectContaining({ code: 'unreadable', file: 'journal.jsonl' }),
    );
    expect(performance.now() - started).toBeLessThan(1000);
  });

  test('any JSON is read or refused by a typed error', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        try {
          expect(Marks.from(json, graph, 'journal.jsonl')).toBeInstanceOf(Marks);
        } catch (error) {
          expect(error).toMatchObject({ code: 'unreadable' });
        }
      }),
    );
  });

  test('a sub-block that the model lacks is refused', () => {
    const decoder = llamaDecoder(sizes);
    const [first, ...rest] = decoder.blocks;
    const linears = first!.linears.filter(({ role }) => ['gate', 'up', 'down'].includes(role));
    const vectors = first!.vectors.filter(({ kind }) => kind === 'ffn-norm');
    const without = plateGraph({ ...decoder, blocks: [{ ...first!, attention: false, linears, vectors }, ...rest] });
    expect(without.count('attention')).toBe(2);
    expect(() => Marks.from({ attention: '0-1' }, without, 'j')).toThrow('hold 0; that block has none');
    expect(Marks.from({ attention: '1-2' }, without, 'j').size).toBe(2);
  });
});
