import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { proveKills } from '../../scripts/kill-proof.js';
import { makeWorkplace } from '../fixtures/workplace.js';

describe('kill -9', () => {
  it('at eight moments of a prune: resume finishes each time, in the same bytes', { timeout: 180_000 }, async () => {
    const place = makeWorkplace();
    const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-kill-'));
    const model = path.join(place, 'models/fledgling');
    const text = [
      '--calibration',
      path.join(model, 'calibration.txt'),
      '--calibration-windows',
      '4',
      '--context',
      '32',
    ];
    let moment = 0;
    const trials = await proveKills({
      args: [
        model,
        '--sparsity',
        '0.5',
        '--waves',
        '8',
        ...text,
        '--limit',
        '4',
        '--max-drop',
        '100%',
        '--monitor',
        'basic',
        '--device',
        'cpu',
      ],
      entry: path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../bin/run.js'),
      folder,
      kills: 8,
      // Spread over the second half: in the first, node is still loading.
      random: () => 0.5 + moment++ / 16,
    });
    rmSync(folder, { recursive: true });
    rmSync(place, { recursive: true });
    expect(trials.map((trial) => [trial.resumeCode, trial.sameBytes])).toEqual(trials.map(() => [0, true]));
    expect(trials.some((trial) => !trial.tooLate)).toBe(true);
  });
});
