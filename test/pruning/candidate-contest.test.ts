import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Model, openModel } from '../../src/model/index.js';
import { openContest } from '../../src/pruning/candidate-contest.js';
import type { EditContext } from '../../src/pruning/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { architectureFixtures, fixtureModel, writeFixture } from '../fixtures/architectures/index.js';
import { randomWindows } from './shed-once.js';

const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-contest-'));
let device: Device;
let model: Model;

beforeAll(async () => {
  device = await openDevice('cpu');
  model = await openModel(writeFixture(fixtureModel(architectureFixtures['llama']!), folder));
});
afterAll(async () => {
  await model.checkpoint.close();
  await device.close();
  rmSync(folder, { recursive: true });
});

const context = (): EditContext =>
  ({
    ...{ model, device, report: () => undefined, calibration: randomWindows(3, 8, 16) },
    ...{ memoryBytes: 2 ** 24, spillFolder: tmpdir() },
  }) as Partial<EditContext> as EditContext;

const names = () => model.decoder.blocks.map(({ linears }) => linears.map(({ weight }) => weight));

describe('candidates that are compared together', () => {
  it('are each what it is alone, bit for bit, whatever it shares with others', async () => {
    const [first, last] = [names()[0]!, names().at(-1)!];
    const base = new Map(
      names()
        .flat()
        .map((name) => [name, 0.4]),
    );
    const changed = (changes: readonly (readonly [string, number])[]) => new Map([...base, ...changes]);
    const candidates = [
      base,
      changed([[last[0]!, 0.6]]),
      changed([[first[0]!, 0.2]]),
      base,
      // They part in the first block, and one of them parts again in the last.
      changed([
        [first[0]!, 0.2],
        [last.at(-1)!, 0.8],
      ]),
      new Map([...base].map(([name]) => [name, 0])),
    ];
    const contest = await openContest('row', context());
    try {
      const memory = device.memory();
      const together = await contest.divergences(candidates, contest.tokens);
      expect(device.memory()).toEqual(memory);
      const alone: number[] = [];
      for (const candidate of candidates) alone.push(...(await contest.divergences([candidate], contest.tokens)));
      expect(together).toEqual(alone);
      expect(together[0]).toBe(together[3]);
      expect(new Set(together).size).toBe(5);
      // Nothing is removed of the last.
      expect(together.at(-1)).toBeCloseTo(0, 6);
      expect(Math.min(...together.slice(0, -1))).toBeGreaterThan(1e-3);
    } finally {
      await contest.close();
    }
  });
});
