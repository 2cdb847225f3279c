import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { bundleGpuBench } from '../../bench/gpu/bundle.js';
import { type BlockResult, type GpuResults, isFailed } from '../../bench/gpu/results.js';
import { availableDevices } from '../../src/tensor/index.js';

const webgpu = (await availableDevices()).find(({ name }) => name === 'webgpu')!;
const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-gpu-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.skipIf(!webgpu.available)(
  `runs from one script at tiny sizes${webgpu.available ? '' : ` (skipped: ${webgpu.reason})`}`,
  async () => {
    const script = await bundleGpuBench(folder);
    const out = path.join(folder, 'results.json');
    const { status, stderr } = spawnSync(process.execPath, [script, '--tiny', '--no-torch', '--out', out], {
      cwd: folder,
      env: { ...process.env, BENCH_COMMIT: 'packed', XDG_RUNTIME_DIR: '/tmp' },
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
    const results = JSON.parse(readFileSync(out, 'utf8')) as GpuResults;
    expect(results).toMatchObject({ tiny: true, commit: 'packed', torch: { missing: expect.any(String) } });
    const { adapter, copies, products, block, jobs } = results.stages;
    for (const stage of [adapter, copies, products, block, jobs]) {
      expect(stage).toBeDefined();
      expect(isFailed(stage)).toBe(false);
    }
    // Each product is held against float64 before it is timed; one that is wrong fails the stage.
    const names = (products as readonly { way: string }[]).map(({ way }) => way);
    expect(new Set(names)).toEqual(new Set(['f32', 'f16', 'f16 weights', 'bf16 weights']));
    // Products are timed by tiles that were measured, and a block's pass with hidden states that stay where they are.
    expect(Object.keys(results.tiles!)).toContainEqual(expect.stringContaining('f16'));
    for (const { states } of (block as BlockResult).windows) expect(states.resident).toBe(states.bytes);
    expect(Object.values(jobs!).some((job) => isFailed(job as object))).toBe(false);
    expect(results.wholeJob!.map(({ job }) => job)).toEqual(['wanda', 'sparsegpt', 'gptq', 'rtn']);
  },
  // Seconds of one core; a GPU in software on a machine that does other work takes minutes.
  600_000,
);
