import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { openModel } from '../../src/model/index.js';
import { stateFolder } from '../../src/state/index.js';
import { type HealAdapterOptions, healAdapter } from '../../src/waves/index.js';
import { at, go, inWorkplaces, recipe } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

const CHOICES = { rank: 4, steps: 24, learningRate: 0.01 };
const OUT = 'out/adapter';

const learn = (choices: typeof CHOICES = CHOICES, options: Partial<HealAdapterOptions> = {}) =>
  healAdapter({
    recipe: recipe({ model: at('out/half'), out: at(OUT), steps: [{ do: 'heal', ...choices }] }),
    base: at('models/fledgling'),
    rank: 4,
    device: 'cpu',
    choices,
    ...options,
  });

const quantize = () => go({ steps: [{ do: 'quantize', scheme: 'int2', groupSize: 16 }], output: { format: 'native' } });

describe('an adapter that is trained beside a quantized model', () => {
  it('has the names and shapes that PEFT reads, brings the model nearer, and is the same when it was killed', async () => {
    await quantize();
    const codes = contentsOf(at('out/half'));
    const result = await learn();
    expect(result.corrected.kl!).toBeLessThan(result.compressed.kl!);
    expect(result.healing).toMatchObject({ rank: 4, steps: 24, taken: 24, applied: true });
    expect(contentsOf(at('out/half'))).toEqual(codes);
    // Nothing is left to go on with.
    expect(existsSync(stateFolder(at(OUT)).root)).toBe(false);

    const adapter = await openCheckpoint(at(OUT, 'adapter_model.safetensors'));
    const base = await openModel(at('models/fledgling'));
    const expected = base.decoder.blocks.flatMap(({ linears }) =>
      linears.flatMap(({ weight, rows, columns }) => {
        const module = `base_model.model.${weight.replace(/\.weight$/, '')}`;
        return [
          [`${module}.lora_A.weight`, [4, columns]],
          [`${module}.lora_B.weight`, [rows, 4]],
        ] as const;
      }),
    );
    const found = [...adapter.tensors].map(([name, { shape }]) => [name, shape]);
    expect(found.sort()).toEqual(expected.map((each) => [...each]).sort());
    await adapter.close();
    await base.checkpoint.close();
    const config = JSON.parse(readFileSync(at(OUT, 'adapter_config.json'), 'utf8')) as object;
    expect(config).toMatchObject({ peft_type: 'LORA', r: 4, lora_alpha: 4, task_type: 'CAUSAL_LM', bias: 'none' });

    const whole = contentsOf(at(OUT));
    const controller = new AbortController();
    const report = (event: { type: string; stage?: string; done?: number }) => {
      if (event.type === 'progress' && event.stage === 'heal' && event.done === 22) controller.abort();
    };
    const again = {
      recipe: recipe({ model: at('out/half'), out: at('out/again'), steps: [{ do: 'heal', ...CHOICES }] }),
    };
    const stopped = learn(CHOICES, { ...again, signal: controller.signal, report });
    await expect(stopped).rejects.toMatchObject({ code: 'interrupted' });
    expect(existsSync(at('out/again'))).toBe(false);
    await learn(CHOICES, { ...again, resume: true });
    const weights = 'adapter_model.safetensors';
    expect(readFileSync(at('out/again', weights))).toEqual(readFileSync(at(OUT, weights)));
    expect(Object.keys(contentsOf(at('out/again')))).toEqual(Object.keys(whole));
  });

  it('is not written where the model is no nearer, and leaves nothing', async () => {
    await quantize();
    await expect(learn({ ...CHOICES, steps: 1, learningRate: 0.9 })).rejects.toMatchObject({ code: 'gate-failed' });
    expect(existsSync(at(OUT))).toBe(false);
    expect(existsSync(stateFolder(at(OUT)).root)).toBe(false);
  });
});
