import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { silent } from '../events.js';
import { type FactorizeSettings, predictFactors, type RankChoice } from '../factorizing/index.js';
import { DEFAULT_MEMORY_BYTES } from '../model/index.js';
import { openDevice } from '../tensor/index.js';
import { closeInputs, openInputs } from './inputs.js';
import type { RunOptions } from './settings.js';

/**
 * What a run's factorizing step would make of each matrix of the model that it begins with, if nothing is rolled back: rank, numbers
 * before and after, and the part of the outputs that is lost. Decomposes every matrix once; leaves nothing behind. Throws as `run`.
 */
export async function planFactors(settings: FactorizeSettings, options: RunOptions): Promise<readonly RankChoice[]> {
  const inputs = await openInputs(options.recipe);
  const { device: choice = 'auto', threads, memoryBytes = DEFAULT_MEMORY_BYTES, report = silent, signal } = options;
  const spillFolder = await mkdtemp(path.join(tmpdir(), 'birdbone-plan-'));
  try {
    const device = await openDevice(choice, threads === undefined ? {} : { threads });
    try {
      return await predictFactors(settings, {
        model: inputs.model,
        device,
        calibration: inputs.calibration?.passages ?? [],
        seed: options.recipe.seed,
        memoryBytes,
        spillFolder,
        report,
        ...(signal && { signal }),
      });
    } finally {
      await device.close();
    }
  } finally {
    await rm(spillFolder, { recursive: true, force: true });
    await closeInputs(inputs);
  }
}
