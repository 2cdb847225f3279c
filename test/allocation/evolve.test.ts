import { describe, expect, it } from 'vitest';
import { mutated, tournament } from '../../src/allocation/evolve.js';
import {
  type AllocationRequest,
  allocations,
  type Candidate,
  type Contest,
  type Probe,
} from '../../src/allocation/index.js';
import { seededRandom } from '../../src/random.js';

const matrices = [400, 400, 1600, 1600].map((elements, i) => ({ name: `m${i}`, block: i, elements, gone: 40 }));

/** What a matrix's removed share costs: the second and third are four times as dear. */
const PRICE = [1, 4, 4, 1];

function costOf(candidate: Candidate): number {
  return matrices.reduce((sum, { name, elements }, i) => sum + PRICE[i]! * elements * candidate.get(name)! ** 2, 0);
}

interface WatchedContest extends Contest {
  readonly rounds: { readonly candidates: number; readonly tokens: number }[];
  closed: boolean;
}

function contestOf(cost: (candidate: Candidate, tokens: number) => number = costOf): WatchedContest {
  const rounds: WatchedContest['rounds'] = [];
  return {
    tokens: 800,
    rounds,
    closed: false,
    async divergences(candidates, tokens) {
      rounds.push({ candidates: candidates.length, tokens });
      return candidates.map((candidate) => cost(candidate, tokens));
    },
    async close() {
      this.closed = true;
    },
  };
}

/** Blocks and errors that tell nothing apart: the search starts from the uniform allocation. */
function requestOf(contest: Contest, seed = 0): AllocationRequest {
  const probe: Probe = {
    outlierShares: async () => [0.01],
    errorCurves: async (levels) =>
      new Map(matrices.map(({ name, elements }) => [name, levels.map((s) => elements * s ** 2)])),
    openContest: async () => contest,
  };
  return { matrices, target: 0.6, seed, probe };
}

async function evolve(contest: Contest, seed?: number) {
  const allocation = await allocations.load('evolve');
  if (allocation.kind !== 'measured') throw new Error('evolve measures');
  return allocation.allocate(requestOf(contest, seed));
}

const sumOf = (counts: ReadonlyMap<string, number>) => [...counts.values()].reduce((total, count) => total + count, 0);
const shareOf = (counts: ReadonlyMap<string, number>) =>
  new Map(matrices.map(({ name, elements }) => [name, counts.get(name)! / elements]));

describe('evolution', () => {
  it('comes near the best division, on budget, and closes the contest', async () => {
    const contest = contestOf();
    const found = await evolve(contest);
    expect(sumOf(found)).toBe(2400);
    // Σ pᵢ nᵢ sᵢ² is least at sᵢ = λ / pᵢ; the first and last want 96 %, the others 24 %.
    const best = costOf(new Map([0.96, 0.24, 0.24, 0.96].map((share, i) => [`m${i}`, share])));
    const uniform = costOf(new Map(matrices.map(({ name }) => [name, 0.6])));
    expect(costOf(shareOf(found))).toBeLessThan(best + 0.02 * (uniform - best));
    expect(contest.closed).toBe(true);
  });

  it('measures the same candidates for the same seed, and others for another', async () => {
    const measured = async (seed: number) => {
      const costs: number[] = [];
      const found = await evolve(
        contestOf((candidate) => costs[costs.push(costOf(candidate)) - 1]!),
        seed,
      );
      return { costs, found: [...found] };
    };
    const [one, same, other] = [await measured(7), await measured(7), await measured(8)];
    expect(same).toEqual(one);
    expect(other.costs).not.toEqual(one.costs);
  });

  it('starts from the best of uniform, OWL and measured errors: no generation makes it worse', async () => {
    const contest = contestOf();
    // The errors say what the contest is about; its cost is their sum.
    const request = requestOf(contest);
    const errorCurves = async (levels: readonly number[]) =>
      new Map(matrices.map(({ name, elements }, i) => [name, levels.map((s) => PRICE[i]! * elements * s ** 2)]));
    const allocation = await allocations.load('evolve');
    const error = await allocations.load('error');
    if (allocation.kind !== 'measured' || error.kind !== 'measured') throw new Error('both measure');
    const informed = { ...request, probe: { ...request.probe, errorCurves } };
    const start = costOf(shareOf(await error.allocate(informed)));
    expect(start).toBeLessThan(0.9 * costOf(new Map(matrices.map(({ name }) => [name, 0.6]))));
    expect(costOf(shareOf(await allocation.allocate(informed)))).toBeLessThanOrEqual(start);
    expect(contest.rounds[0]).toEqual({ candidates: 3, tokens: 800 });
  });

  it('closes the contest when it fails', async () => {
    const contest = contestOf(() => {
      throw new Error('no device');
    });
    await expect(evolve(contest)).rejects.toThrow('no device');
    expect(contest.closed).toBe(true);
  });
});

describe('a mutation', () => {
  it('moves whole weights between matrices, on budget, and takes back none that are gone', () => {
    const random = seededRandom(3);
    let counts: ReadonlyMap<string, number> = new Map(matrices.map(({ name, elements }) => [name, elements * 0.6]));
    for (let step = 0; step < 300; step++) {
      counts = mutated(counts, matrices, random);
      expect(sumOf(counts)).toBe(2400);
      for (const { name, gone, elements } of matrices) {
        expect(counts.get(name)).toBeGreaterThanOrEqual(gone);
        expect(counts.get(name)).toBeLessThanOrEqual(elements);
        expect(Number.isInteger(counts.get(name))).toBe(true);
      }
    }
  });
});

describe('a tournament', () => {
  const countsOf = (first: number) =>
    new Map([
      ['m0', first],
      ['m1', 240],
      ['m2', 960],
      ['m3', 960],
    ]);

  it('measures all on a part of the text, and the best of them, with the parent, on all of it', async () => {
    const contest = contestOf();
    const offspring = [100, 110, 120, 130, 140, 150].map(countsOf);
    expect(await tournament(countsOf(105), offspring, matrices, contest)).toEqual(countsOf(100));
    expect(contest.rounds).toEqual([
      { candidates: 6, tokens: 100 },
      { candidates: 5, tokens: 800 },
    ]);
  });

  it('keeps the parent where offspring are no better on all of the text', async () => {
    const misled = contestOf((candidate, tokens) => (tokens === 100 ? candidate.get('m0')! : 1));
    const parent = countsOf(200);
    expect(await tournament(parent, [countsOf(100)], matrices, misled)).toBe(parent);
  });
});
