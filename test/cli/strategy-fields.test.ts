import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HARDWARE } from '../../src/cli/hardware-flags.js';
import { strategyFields, strategyText } from '../../src/cli/strategy-fields.js';
import { adviseFor, OWN_MACHINE, profiles } from '../../src/hardware/index.js';
import { type Model, openModel } from '../../src/model/index.js';

let model: Model;
let cache: string;
const { XDG_CACHE_HOME: before } = process.env;
beforeAll(async () => {
  cache = mkdtempSync(path.join(tmpdir(), 'birdbone-cache-'));
  process.env['XDG_CACHE_HOME'] = cache;
  model = await openModel('models/fledgling');
});
afterAll(async () => {
  await model.checkpoint.close();
  if (before === undefined) delete process.env['XDG_CACHE_HOME'];
  else process.env['XDG_CACHE_HOME'] = before;
  rmSync(cache, { recursive: true });
});

const advised = (hardware: string, sizeBytes?: number) =>
  adviseFor(model, { hardware, limits: sizeBytes === undefined ? {} : { sizeBytes } });

describe('quantize --for', () => {
  it('takes the names of every profile, and those of the machine at hand', () => {
    expect([...HARDWARE].sort()).toEqual([...new Set([...profiles.keys(), ...OWN_MACHINE])].sort());
  });

  it('takes scheme, algorithm, groups and format of the strategy that keeps most bits within the size', async () => {
    const halves = [...model.checkpoint.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    const laptop = strategyFields(await advised('laptop-8gb', Math.floor(0.6 * halves)), 'fledgling');
    expect(laptop).toMatchObject({ fields: { scheme: 'q8_0' }, format: 'gguf' });
    expect(laptop.chosen).toMatchObject({ hardware: 'laptop-8gb', strategy: 'q8_0', remembered: false });
    expect(laptop.chosen.reason).toContain('f16 is out');
    const again = strategyFields(await advised('laptop-8gb', Math.floor(0.6 * halves)), 'fledgling');
    expect(again.chosen.remembered).toBe(true);
    expect(strategyText(again.chosen)).toMatch(/^For laptop-8gb: q8_0, as before\. /);
    const a100 = strategyFields(await advised('vllm-a100', Math.floor(0.45 * halves)), 'fledgling');
    expect(a100).toEqual({
      fields: { scheme: 'int4', algorithm: 'gptq', groupSize: 128 },
      format: 'compressed-tensors',
      chosen: expect.objectContaining({ strategy: 'w4a16' }),
    });
  });

  it('says why there is nothing to quantize, and why nothing fits', async () => {
    const all = await advised('mobile');
    expect(() => strategyFields(all, 'fledgling')).toThrow(expect.objectContaining({ code: 'usage' }));
    expect(() => strategyFields(all, 'fledgling')).toThrow('f16 keeps most bits');
    const none = await advised('mobile', 1000);
    expect(() => strategyFields(none, 'fledgling')).toThrow(expect.objectContaining({ code: 'gate-failed' }));
    expect(() => strategyFields(none, 'fledgling')).toThrow('Nothing keeps to the limits');
  });

  it('refuses more tokens than the model takes', async () => {
    const wish = { hardware: 'mobile', limits: {}, context: 10 ** 6 };
    await expect(adviseFor(model, wish)).rejects.toMatchObject({ code: 'usage' });
  });
});
