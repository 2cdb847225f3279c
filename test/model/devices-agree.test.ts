import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { scorePassages, summarize } from '../../src/evaluation/index.js';
import { openModel } from '../../src/model/index.js';
import { availableDevices, type DeviceName, openDevice } from '../../src/tensor/index.js';
import { sharedMissing, sharedModel } from '../shared.js';
import { logitsOf } from './logits.js';

const fledgling = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../models/fledgling');
const noGpu = (await availableDevices()).find(({ name }) => name === 'webgpu')?.reason;

/** Of logits up to some ±20: sums in another order, and a GPU's own exp. */
const LOGIT_TOLERANCE = 1e-4;
/** Of a perplexity, relative; differences of logits are as often up as down. */
const PERPLEXITY_TOLERANCE = 1e-5;

describe.each([
  { name: 'fledgling', folder: fledgling, missing: noGpu },
  { name: 'stories260k', folder: sharedModel('stories260k'), missing: noGpu ?? sharedMissing },
])('$name on a GPU', ({ folder, missing }) => {
  it.skipIf(missing !== undefined)(
    `gives the logits and perplexity of the CPU${missing ? `: ${missing}` : ''}`,
    async () => {
      const model = await openModel(folder);
      const { vocabulary } = model.decoder;
      // Two lengths, so that one is padded beside the other.
      const sequences = [41, 70].map((length) => Int32Array.from({ length }, (_, i) => (i * i * 31 + 7) % vocabulary));
      const run = async (name: DeviceName) => {
        const device = await openDevice(name);
        try {
          if (name === 'webgpu') expect(device.fastPaths).toContain('fused operations');
          const logits = await logitsOf(model, sequences, device);
          const passages = sequences.map((ids) => ({ ids }));
          const { scores } = await scorePassages(model, passages, { device });
          return { logits, ...summarize(scores, { resamples: 1, seed: 1 }) };
        } finally {
          await device.close();
        }
      };
      const [cpu, gpu] = [await run('cpu'), await run('webgpu')];
      for (const [i, logits] of gpu.logits.entries()) {
        const furthest = logits.reduce((most, z, j) => Math.max(most, Math.abs(z - cpu.logits[i]![j]!)), 0);
        expect(furthest).toBeLessThan(LOGIT_TOLERANCE);
      }
      expect(Math.abs(gpu.perplexity / cpu.perplexity - 1)).toBeLessThan(PERPLEXITY_TOLERANCE);
      expect(gpu.accuracy).toBe(cpu.accuracy);
      await model.checkpoint.close();
    },
  );
});
