import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Kind } from '../../scripts/sweep/blows.js';
import { Lane } from '../../scripts/sweep/lane.js';
import { SCENARIOS } from '../../scripts/sweep/scenarios.js';
import { sweepScenario } from '../../scripts/sweep/sweep.js';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const hasStrace = spawnSync('strace', ['-V']).status === 0;

/** `npm run sweep` strikes everywhere (docs/crash-sweep.md). Here: what each command does differently, at a few points. */
const SAMPLE: readonly (readonly [command: string, situation: string, kind: Kind, blows: number])[] = [
  ['prune', 'fresh, in one wave', 'error', 3],
  ['prune', '--restart over an earlier result', 'kill', 2],
  ['rollback', 'from wave 4 to wave 1', 'kill', 2],
  ['gc', 'after a rollback to wave 1', 'kill', 2],
  ['hash', '--update of a repository without recorded hashes', 'kill', 2],
  ['hash', '--update of a repository without recorded hashes', 'error', 2],
  ['export', 'of wave 2', 'error', 2],
];

describe.skipIf(!hasStrace)('commands cut short at a system call (needs strace)', () => {
  let home: string;
  let lane: Lane;

  beforeAll(async () => {
    home = mkdtempSync(path.join(tmpdir(), 'birdbone-sweep-'));
    lane = await Lane.open(root, path.join(home, 'lane'));
  });
  afterAll(async () => {
    await lane.close();
    rmSync(home, { recursive: true, force: true });
  });

  it.each(SAMPLE)(
    '%s %s: %s at %i points leaves the old state or the new one',
    async (command, situation, kind, blows) => {
      const scenario = SCENARIOS.find((each) => each.command === command && each.situation === situation)!;
      const row = await sweepScenario(scenario, [lane], { kind, sample: blows });
      expect(row.failures).toEqual([]);
      // A blow that does not fall proves nothing. ONNX Runtime makes a file of its own the first time it runs for a user, and not again.
      expect(row.fired).toBeGreaterThanOrEqual(row.trials - (command === 'prune' ? 1 : 0));
      expect(row.trials).toBe(blows);
    },
  );

  it('finds a state that is neither old nor new', async () => {
    const scenario = SCENARIOS.find(({ command }) => command === 'hash')!;
    const torn = {
      ...scenario,
      parts: [...scenario.parts, 'torn'],
      victim: scenario.victim,
      retry: ['hash', '--check'],
    };
    const row = await sweepScenario(torn, [lane], { kind: 'kill', sample: 1 });
    // The first blow comes before anything is written, and this retry writes nothing either.
    expect(row.failures).toEqual([expect.stringContaining('hash --check')]);
  });
});
