import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type KillProof, type KillTrial, proveKills } from '../../scripts/kill-proof.js';
import { plantModel } from '../fixtures/planted.js';
import { makeWorkplace } from '../fixtures/workplace.js';

const ENTRY = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../bin/run.js');

/** What is the same for each prune that is killed. */
const COMMON = [
  '--calibration-windows',
  '4',
  '--context',
  '32',
  '--limit',
  '4',
  '--monitor',
  'basic',
  '--device',
  'cpu',
];

async function trialsOf(args: readonly string[], proof: Pick<KillProof, 'kills' | 'random'>): Promise<KillTrial[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-kill-'));
  const trials = await proveKills({ args, entry: ENTRY, folder, ...proof });
  rmSync(folder, { recursive: true });
  return trials;
}

describe('kill -9', () => {
  it('at eight moments of a prune: resume finishes each time, in the same bytes', { timeout: 180_000 }, async () => {
    const place = makeWorkplace();
    const model = path.join(place, 'models/fledgling');
    const args = [model, '--sparsity', '0.5', '--waves', '8', '--max-drop', '100%', ...COMMON];
    let moment = 0;
    // Spread over the second half: in the first, node is still loading.
    const random = () => 0.5 + moment++ / 16;
    const text = ['--calibration', path.join(model, 'calibration.txt')];
    const trials = await trialsOf([...args, ...text], { kills: 8, random });
    rmSync(place, { recursive: true });
    expect(trials.map((trial) => [trial.resumeCode, trial.sameBytes])).toEqual(trials.map(() => [0, true]));
    expect(trials.some((trial) => !trial.tooLate)).toBe(true);
  });

  it('while a wave sheds plates, is searched for the one that does harm, and repaired', {
    timeout: 180_000,
  }, async () => {
    const place = makeWorkplace();
    const model = path.join(place, 'models/fledgling');
    plantModel([{ block: 0, channel: 17 }], { onlyAfterB: true, folder: model });
    const shedding = ['--plates', 'ffn', '--sparsity', '0.3', '--waves', '1', '--max-drop', '3%'];
    const texts = ['--calibration', path.join(model, 'calibration.txt'), '--data', path.join(model, 'evaluation.txt')];
    let moment = 0;
    const random = () => 0.7 + moment++ / 5;
    const trials = await trialsOf([model, ...shedding, ...texts, ...COMMON], { kills: 2, random });
    rmSync(place, { recursive: true });
    expect(trials.map((trial) => [trial.resumeCode, trial.sameBytes])).toEqual(trials.map(() => [0, true]));
    expect(trials.some((trial) => !trial.tooLate)).toBe(true);
  });

  it('while waves are healed: before their first snapshot, between snapshots, and after the last', {
    timeout: 180_000,
  }, async () => {
    const place = makeWorkplace();
    const model = path.join(place, 'models/fledgling');
    const healing = ['--heal', '--heal-steps', '41', '--heal-rank', '4'];
    const args = [model, '--sparsity', '0.5', '--waves', '2', '--max-drop', '100%', ...healing, ...COMMON];
    let moment = 0;
    const random = () => 0.45 + moment++ / 6;
    const text = ['--calibration', path.join(model, 'calibration.txt')];
    const trials = await trialsOf([...args, ...text], { kills: 3, random });
    rmSync(place, { recursive: true });
    expect(trials.map((trial) => [trial.resumeCode, trial.sameBytes])).toEqual(trials.map(() => [0, true]));
    expect(trials.some((trial) => !trial.tooLate)).toBe(true);
  });
});
