import { describe, expect, test } from 'vitest';
import { openModel } from '../../src/model/index.js';
import { KINDS_OF_BLOCKS, type Plate, type PlateGraph, type PlateSlice, plateGraph } from '../../src/plates/index.js';
import {
  architectureFixtures,
  type FixtureModel,
  fixtureModel,
  randomIds,
  withTensors,
  writeFixture,
} from '../fixtures/architectures/index.js';
import { referenceForwards } from '../reference/architectures/index.js';

const IDS = randomIds(7, 40, 3);

/** Every architecture with each of its variants. */
const CASES = Object.entries(architectureFixtures).flatMap(([type, fixture]) =>
  [['as published', {}] as const, ...Object.entries(fixture.variants)].map(
    ([variant, difference]) => [type, variant, fixtureModel(fixture, difference)] as const,
  ),
);

async function graphOf(model: FixtureModel): Promise<PlateGraph> {
  const { checkpoint, decoder } = await openModel(writeFixture(model));
  await checkpoint.close();
  return plateGraph(decoder);
}

describe.each(CASES)('plates of %s (%s)', (type, _, model) => {
  const forward = (of: FixtureModel) => referenceForwards[type]!(of, IDS);
  let made: PlateGraph | undefined;
  const theGraph = async () => {
    made ??= await graphOf(model);
    return made;
  };

  test('know every stored tensor with its shape, and each has a plate that takes all of it', async () => {
    const graph = await theGraph();
    const stored = new Map([...model.tensors].map(([name, { shape }]) => [name, shape]));
    expect(new Map([...graph.shapes].sort())).toEqual(new Map([...stored].sort()));
    const whole = new Set(
      ['attention', 'ffn', 'hidden']
        .flatMap((kind) => graph.ranges(kind as Plate['kind']))
        .flatMap((range) => graph.slicesOf(range))
        .filter(({ tensor, axis, start, count }) => start === 0 && count === graph.shapes.get(tensor)![axis])
        .map(({ tensor }) => tensor),
    );
    expect([...whole].sort()).toEqual([...stored.keys()].sort());
  });

  test('of one kind take every row and column that the kind has once', async () => {
    const graph = await theGraph();
    for (const kind of graph.kinds) {
      if (KINDS_OF_BLOCKS.includes(kind)) continue;
      const taken = new Map<string, number>();
      for (const plate of graph.plates(kind)) {
        const slices = graph.slices(plate);
        expect(graph.parametersOf(slices)).toBe(plate.parameters);
        for (const { tensor, axis, start, count } of slices) {
          for (let i = start; i < start + count; i += 1) {
            const key = `${tensor} ${axis} ${i}`;
            taken.set(key, (taken.get(key) ?? 0) + 1);
          }
        }
      }
      for (const [key, times] of taken) expect(times, `${kind}: ${key}`).toBe(1);
      const axes = new Set([...taken.keys()].map((key) => key.slice(0, key.lastIndexOf(' '))));
      const whole = [...axes].reduce((sum, key) => {
        const [tensor, axis] = key.split(' ') as [string, string];
        return sum + graph.shapes.get(tensor)![Number(axis)]!;
      }, 0);
      expect(taken.size, kind).toBe(whole);
      const together = graph.ranges(kind).flatMap((range) => graph.slicesOf(range));
      expect(together.reduce((sum, { count }) => sum + count, 0)).toBe(whole);
    }
  });

  test('are interchangeable: two of a family swapped everywhere leave the logits as they were', async () => {
    const graph = await theGraph();
    const logits = forward(model);
    for (const [first, second] of pairsOf(graph)) {
      const swapped = forward(swap(model, graph, first, second));
      const off = Math.max(
        ...logits.flatMap((row, t) => [...row].map((value, v) => Math.abs(value - swapped[t]![v]!))),
      );
      expect(off, `${first.id} and ${second.id}`).toBeLessThan(1e-9);
    }
  });

  test('removed alone leave finite logits', async () => {
    const graph = await theGraph();
    for (const kind of graph.kinds) {
      const [plate] = graph.plates(kind);
      const logits = forward(without(model, graph.slices(plate!), graph));
      expect(
        logits.every((row) => row.every(Number.isFinite)),
        plate!.id,
      ).toBe(true);
    }
  });
});

/** First and last of each family: they may change places. Tokens may not, as the logits are theirs. */
function pairsOf(graph: PlateGraph): [Plate, Plate][] {
  return graph.kinds.flatMap((kind) => {
    if (KINDS_OF_BLOCKS.includes(kind) || kind === 'vocabulary') return [];
    return graph.ranges(kind).flatMap((range): [Plate, Plate][] => {
      const families = range.block === undefined ? [range] : graph.families(kind, range.block);
      return families
        .filter(({ count }) => count > 1)
        .map(({ start, count }) => {
          const [first] = graph.platesOf({ ...range, start, count: 1 });
          const [last] = graph.platesOf({ ...range, start: start + count - 1, count: 1 });
          return [first!, last!];
        });
    });
  });
}

/** The model with what two plates hold exchanged, slice by slice; experts lie in tensors of their own. */
function swap(model: FixtureModel, graph: PlateGraph, first: Plate, second: Plate): FixtureModel {
  const [from, to] = [graph.slices(first), graph.slices(second)];
  expect(from.map(({ axis, count }) => [axis, count])).toEqual(to.map(({ axis, count }) => [axis, count]));
  const values = new Map<string, Float32Array>();
  const valuesOf = (tensor: string) => {
    const current = values.get(tensor) ?? model.tensors.get(tensor)!.values.slice();
    values.set(tensor, current);
    return current;
  };
  for (const [i, slice] of from.entries()) {
    const [one, other] = [valuesOf(slice.tensor), valuesOf(to[i]!.tensor)];
    const there = positionsOf(graph, to[i]!);
    for (const [k, position] of positionsOf(graph, slice).entries()) {
      [one[position], other[there[k]!]] = [other[there[k]!]!, one[position]!];
    }
  }
  return withTensors(model, values);
}

function without(model: FixtureModel, slices: readonly PlateSlice[], graph: PlateGraph): FixtureModel {
  const values = new Map<string, Float32Array>();
  for (const slice of slices) {
    const current = values.get(slice.tensor) ?? model.tensors.get(slice.tensor)!.values.slice();
    values.set(slice.tensor, current);
    for (const position of positionsOf(graph, slice)) current[position] = 0;
  }
  return withTensors(model, values);
}

/** Where a slice's elements are stored, in order. */
function positionsOf(graph: PlateGraph, { tensor, axis, start, count }: PlateSlice): number[] {
  const [rows, columns = 1] = graph.shapes.get(tensor)! as [number, number?];
  const lines = Array.from({ length: count }, (_, i) => start + i);
  return axis === 0
    ? lines.flatMap((row) => Array.from({ length: columns }, (_, column) => row * columns + column))
    : lines.flatMap((column) => Array.from({ length: rows }, (_, row) => row * columns + column));
}
