import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openCheckpoint, readFloats } from '../../src/checkpoint/index.js';
import type { HealingRecord } from '../../src/healing/index.js';
import { collectGarbage, stateFolder } from '../../src/state/index.js';
import { openState, type RunResult, readLog } from '../../src/waves/index.js';
import { at, go, inWorkplaces, weightsOf } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

const PRUNE = { do: 'prune', sparsity: 0.5, waves: 1 };
/** A tiny random model has much to learn, and little to spoil. */
const HEAL = { rank: 'full', steps: 25, learningRate: 0.01 };

/** Heals out/half towards the dense model. */
const heal = (choices: object = HEAL, options: Parameters<typeof go>[1] = {}) =>
  go(
    {
      model: at('out/half'),
      reference: at('models/fledgling'),
      out: at('out/healed'),
      monitor: 'full',
      steps: [{ do: 'heal', ...choices }],
    },
    options,
  );

const healingOf = ({ waves }: Pick<RunResult, 'waves'>, wave = 0) =>
  waves[wave]!.details!['healing']![0] as HealingRecord;

/** The bits of every weight, 1 where it is 0. */
async function zerosIn(folder: string): Promise<Map<string, string>> {
  const checkpoint = await openCheckpoint(folder);
  const zeros = new Map<string, string>();
  for (const name of checkpoint.tensors.keys()) {
    const values = await readFloats(checkpoint, name);
    zeros.set(name, Array.from(values, (value) => (value === 0 ? 1 : 0)).join(''));
  }
  await checkpoint.close();
  return zeros;
}

/** Aborts at the n-th step of training. */
function abortAt(step: number) {
  const controller = new AbortController();
  const report = (event: { type: string; stage?: string; done?: number }) => {
    if (event.type === 'progress' && event.stage === 'heal' && event.done === step) controller.abort();
  };
  return { signal: controller.signal, report };
}

describe('healing a pruned model', () => {
  it('brings it nearer to the dense one, and leaves every zero and nothing but zeros at 0', async () => {
    await go({ steps: [PRUNE] });
    const result = await heal();
    expect(result.result['kl']!).toBeLessThan(result.before!['kl']!);
    expect(result.baseline['perplexity']).toBeDefined();
    expect(result.waves).toMatchObject([{ verdict: 'committed', removed: { parameters: expect.any(Number) } }]);
    expect(await zerosIn(result.out)).toEqual(await zerosIn(at('out/half')));
    expect(result.sparsity).toBeCloseTo(PRUNE.sparsity, 2);
    expect(await weightsOf(result.out)).not.toBe(await weightsOf(at('out/half')));
    const healing = healingOf(result);
    expect(healing).toMatchObject({ rank: 'full', steps: 25, taken: 25, applied: true, stopped: false, spikes: [] });
    expect(healing).toMatchObject({ windows: { learnt: 3, heldOut: 1 }, caution: 1 });
    expect(healing.after!.kl).toBeLessThan(healing.before!.kl);
    expect(healing.regained).toBeCloseTo(1 - healing.after!.kl / healing.before!.kl, 12);
    const log = await readLog({ out: result.out });
    expect(JSON.stringify(log)).toContain('"healing"');
  });

  it('publishes nothing where the model would be no nearer', async () => {
    await go({ steps: [PRUNE] });
    // Too small a rate for a bf16 weight to move.
    await expect(heal({ rank: 2, steps: 2, learningRate: 1e-12 })).rejects.toMatchObject({
      code: 'gate-failed',
      message: expect.stringContaining('no nearer'),
    });
  });

  it('refuses to heal towards nothing, and towards a model of other tokens', async () => {
    await expect(go({ steps: [{ do: 'heal', ...HEAL }] })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('before it was compressed'),
    });
  });

  it.each([
    [{ rank: 'full', qlora: true }, '4 bits'],
    [{ rank: 'full', alpha: 4 }, 'alpha'],
    [{ steps: 3, minutes: 1 }, '3 steps'],
  ])('refuses %o before it looks at the model', async (choices, message) => {
    await expect(heal(choices)).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining(message) });
  });

  it('refuses a model in codes, and says what to do', async () => {
    await go({ steps: [{ do: 'quantize', scheme: 'int8' }], output: { format: 'native' } });
    await expect(heal()).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('in codes') });
  });
});

describe('healing that is interrupted', () => {
  it('twice, before its first snapshot and after it, ends in the same bytes as one that was not', async () => {
    await go({ steps: [PRUNE] });
    const { out } = await heal();
    const whole = contentsOf(out);
    await expect(heal(HEAL, { restart: true, ...abortAt(3) })).rejects.toMatchObject({ code: 'interrupted' });
    await expect(heal(HEAL, { resume: true, ...abortAt(22) })).rejects.toMatchObject({ code: 'interrupted' });
    const resumed = await heal(HEAL, { resume: true });
    expect(contentsOf(resumed.out)).toEqual(whole);
    // What was kept of the progress has gone with its use.
    expect(existsSync(stateFolder(out).progress)).toBe(false);
  });

  it('takes the number of steps that the clock has decided from the journal', async () => {
    await go({ steps: [PRUNE] });
    const choices = { rank: 2, minutes: 0.02, learningRate: 0.01 };
    await expect(heal(choices, abortAt(1))).rejects.toMatchObject({ code: 'interrupted' });
    const { journal } = stateFolder(at('out/healed'));
    const records = readFileSync(journal, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; value: { steps: number } });
    const decision = records.find(({ type }) => type === 'decision')!;
    expect(decision).toMatchObject({ wave: 1, name: 'healing-steps', value: { minutes: 0.02 } });
    const resumed = await heal(choices, { resume: true });
    expect(healingOf(resumed)).toMatchObject({ steps: decision.value.steps, minutes: 0.02 });
  });
});

describe('waves that prune and heal', () => {
  const steps = [{ ...PRUNE, waves: 2, heal: HEAL }];

  it('are one transaction each: what goes is what went without healing, and the rest is better', async () => {
    const plain = await go({ steps: [PRUNE], monitor: 'full' });
    const zeros = await zerosIn(plain.out);
    const healed = await go({ steps: [{ ...PRUNE, heal: HEAL }], out: at('out/healed'), monitor: 'full' });
    expect(healed.waves).toHaveLength(1);
    expect(healed.sparsity).toBe(plain.sparsity);
    expect(await zerosIn(healed.out)).toEqual(zeros);
    expect(healed.result['kl']!).toBeLessThan(plain.result['kl']!);
    // The layer that was only pruned is gone.
    expect(await collectGarbage(stateFolder(healed.out), { dryRun: true })).toEqual([]);
  });

  it('heal what plates leave, and are undone as one', async () => {
    const shed = [{ ...PRUNE, sparsity: 0.2, plates: 'ffn', heal: HEAL }];
    const { out, waves } = await go({ steps: shed });
    expect(waves).toMatchObject([{ verdict: 'committed', plates: { 'ffn-channel': expect.anything() } }]);
    const state = await openState(`${out}@dense`);
    const dense = await openCheckpoint(at('models/fledgling'));
    for (const name of dense.tensors.keys()) expect(await state.checkpoint.read(name)).toEqual(await dense.read(name));
    await state.checkpoint.close();
    await dense.close();
  });

  it('end in the same bytes when healing is interrupted in the second', async () => {
    const { out } = await go({ steps });
    const whole = contentsOf(out);
    const controller = new AbortController();
    let trainings = 0;
    const report = (event: { type: string; stage?: string; done?: number }) => {
      if (event.type !== 'progress' || event.stage !== 'heal') return;
      if (event.done === 1) trainings += 1;
      if (trainings === 2 && event.done === 22) controller.abort();
    };
    const stopped = go({ steps }, { restart: true, signal: controller.signal, report });
    await expect(stopped).rejects.toMatchObject({ code: 'interrupted' });
    expect(contentsOf((await go({ steps }, { resume: true })).out)).toEqual(whole);
  });

  it('go before codes: prune, heal, quantize', async () => {
    const pipeline = [PRUNE, { do: 'heal', ...HEAL }, { do: 'quantize', scheme: 'int8' }];
    const { waves, reached } = await go({ steps: pipeline, output: { format: 'compressed-tensors' } });
    expect(reached).toBe(true);
    expect(waves.map(({ verdict }) => verdict)).toEqual(['committed', 'committed', 'committed']);
    expect(healingOf({ waves }, 1).applied).toBe(true);
  });
});
