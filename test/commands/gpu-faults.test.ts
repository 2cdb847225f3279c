import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { availableDevices } from '../../src/tensor/index.js';
import { birdbone } from '../fixtures/command-line.js';
import { contentsOf, makeWorkplace } from '../fixtures/workplace.js';

const missing = (await availableDevices()).find(({ name }) => name === 'webgpu')?.reason;
const breaker = fileURLToPath(new URL('../fixtures/break-gpu.mjs', import.meta.url));

/** What a journal has, record by record. */
function recordsOf(journal: string): string[] {
  const lines = readFileSync(journal, 'utf8').trimEnd().split('\n');
  return lines.map((line) => (JSON.parse(line) as { readonly type: string }).type);
}

describe.skipIf(missing !== undefined)(
  `a run on a GPU that breaks${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const place = makeWorkplace();
    afterAll(() => rmSync(place, { recursive: true }));
    const out = path.join(place, 'out');
    const go = (fault?: string) =>
      birdbone(['run', 'configs/half.json', '--device', 'webgpu', '--resume', '--json', '--quiet'], {
        cwd: place,
        ...(fault !== undefined && { node: ['--import', breaker], env: { BREAK_GPU: fault } }),
      });

    // One run meets all of them, further on each time: while the dense model is measured, in the first wave, and in the second.
    it('ends each time in exit code 6 and publishes nothing; it goes on from there, and comes to the same bytes', async () => {
      expect(await go()).toMatchObject({ code: 0 });
      const untroubled = contentsOf(path.join(out, 'half'));
      rmSync(out, { recursive: true });
      const faults = [
        { fault: 'shader:1', code: 'device', message: 'Error while parsing WGSL', known: ['begin'] },
        {
          fault: 'binding:9',
          code: 'device',
          message: 'larger than the maximum storage buffer binding size',
          known: ['begin', 'baseline'],
        },
        // A wave reads some fifty times.
        { fault: 'lost:52', code: 'device', message: 'The GPU was lost', known: ['begin', 'baseline', 'wave'] },
      ];
      for (const { fault, code, message, known } of faults) {
        const broken = await go(fault);
        expect(broken, fault).toMatchObject({ code: 6 });
        expect(JSON.parse(broken.stdout)).toMatchObject({
          error: { code, exitCode: 6, message: expect.stringContaining(message) },
        });
        expect(existsSync(path.join(out, 'half'))).toBe(false);
        expect(recordsOf(path.join(out, '.birdbone', 'half', 'journal.jsonl'))).toEqual(known);
      }
      expect(await go()).toMatchObject({ code: 0 });
      expect(contentsOf(path.join(out, 'half'))).toEqual(untroubled);
    }, 300_000);
  },
);
