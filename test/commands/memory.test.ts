import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { quarterWidth, writeMemoryModel } from '../../bench/memory-model.js';
import { birdbone } from '../fixtures/command-line.js';

const reporter = fileURLToPath(new URL('../../bench/report-peak.mjs', import.meta.url));
const text = fileURLToPath(new URL('../../models/fledgling/calibration.txt', import.meta.url));

/** The small form of `npx tsx bench/memory.ts`: a quarter of Mistral-7B's widths, one block. */
describe.skipIf(process.platform !== 'linux')('the memory that a plan foretells (skipped: VmHWM is of Linux)', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-memory-'));
  const data = path.join(folder, 'data.txt');
  beforeAll(async () => {
    await writeMemoryModel(path.join(folder, 'model'), { ...quarterWidth(1), vocabulary: 1024 });
    writeFileSync(data, readFileSync(text, 'utf8').slice(0, 400));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const pruning = ['--sparsity', '0.5', '--waves', '1', '--calibration', text, '--calibration-windows', '2'];
  it.each([
    ['prune', '', pruning],
    ['prune', ' by gradients', [...pruning, '--metric', 'taylor', '--restart']],
    ['quantize', '', ['--scheme', 'int4']],
  ])(
    'is within 15 % of the peak of %s%s',
    async (command, _, own) => {
      const shared = ['--context', '64', '--data', data, '--limit', '1', '--monitor', 'basic', '--max-drop', '100%'];
      const args = [command, 'model', '--out', command, ...own, ...shared, '--device', 'cpu', '--json'];
      const plan = JSON.parse((await birdbone([...args, '--dry-run'], { cwd: folder })).stdout);
      const peakFile = path.join(folder, 'peak');
      const node = ['--import', pathToFileURL(reporter).href];
      expect(await birdbone(args, { cwd: folder, node, env: { PEAK_FILE: peakFile } })).toMatchObject({ code: 0 });
      const [peakBytes] = readFileSync(peakFile, 'utf8').split(' ').map(Number);
      expect(peakBytes! / plan.memoryBytes.host).toBeGreaterThan(0.85);
      expect(peakBytes! / plan.memoryBytes.host).toBeLessThan(1.15);
    },
    300_000,
  );
});
