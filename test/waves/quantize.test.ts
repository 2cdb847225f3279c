import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { evaluateModel } from '../../src/evaluation/index.js';
import type { Event } from '../../src/events.js';
import { at, go, inWorkplaces } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

const int4 = { do: 'quantize', scheme: 'int4', groupSize: 4, algorithm: 'gptq' };
const inLayout = { output: { format: 'compressed-tensors' } };
const evaluation = { limit: 2, context: 32 };

function change(rest: Record<string, unknown>) {
  return { evaluation: { ...evaluation, file: at('models/fledgling/evaluation.txt') }, ...rest };
}

describe('a quantizing run', () => {
  it.each([
    ['compressed-tensors', 'out/q', int4],
    ['compressed-tensors', 'out/q', { do: 'quantize', scheme: 'int8', kvCache: 'fp8' }],
    ['native', 'out/q', { do: 'quantize', scheme: 'nf4', groupSize: 16 }],
    ['gguf', 'out/q.gguf', { do: 'quantize', scheme: 'q8_0' }],
  ])('publishes %s that evaluates to the figures of the gate, to the last bit', async (format, out, step) => {
    const result = await go(change({ out: at(out), output: { format }, steps: [step] }));
    const again = await evaluateModel({
      model: at(out),
      data: at('models/fledgling/evaluation.txt'),
      protocol: 'windows',
      context: 32,
      limit: 2,
      seed: 0,
      device: 'cpu',
    });
    expect(again.perplexity).toBe(result.result['perplexity']);
    expect(again.accuracy).toBe(result.result['accuracy']);
    const { report } = result.quality!;
    expect(report.format).toBe(format);
    expect(report.bytes.after).toBeLessThan(report.bytes.before);
    const quantized = result.waves[0]?.details?.['quantized'] as { weight: string; bits: number }[];
    expect(quantized.length).toBe(report.changed.length + report.kept.length);
    expect(path.dirname(result.quality!.files.markdown)).toBe(path.dirname(result.diff.json));
    expect(await readFile(result.quality!.files.markdown, 'utf8')).toContain(
      `# fledgling → ${path.basename(out)} (${format})`,
    );
    expect(await readFile(result.quality!.files.html, 'utf8')).toContain('<svg');
  });

  it('ends in the same bytes wherever it is interrupted and resumed', async () => {
    const whole = await go(change({ ...inLayout, out: at('out/whole'), steps: [int4] }));
    const { waves } = JSON.parse(await readFile(whole.manifest, 'utf8'));
    expect(waves[0].details.quantized[0]).toMatchObject({ form: 'int4, groups of 4', bits: 8, algorithm: 'gptq' });
    const expected = contentsOf(at('out/whole'));
    const stages = new Set<string>();
    for (const stage of ['quantize', 'evaluate']) {
      const stopping = new AbortController();
      const out = at('out', stage);
      const report = (event: Event) => {
        if (event.type !== 'progress' || event.stage !== stage) return;
        stages.add(stage);
        stopping.abort();
      };
      const steps = { ...inLayout, out, steps: [int4] };
      const first = go(change(steps), { report, signal: stopping.signal });
      await first.then(
        () => undefined,
        (error: unknown) => expect(error).toMatchObject({ code: 'interrupted' }),
      );
      const { result } = await go(change(steps), { resume: true });
      expect(result).toEqual(whole.result);
      expect(contentsOf(out)).toEqual(expected);
    }
    expect([...stages]).toEqual(['quantize', 'evaluate']);
  });

  it('judges a model with a cache of FP8 with that cache, and says what it costs', async () => {
    const step = { do: 'quantize', scheme: 'int8', kvCache: 'fp8' };
    const { result, waves } = await go(change({ ...inLayout, steps: [step] }));
    const plain = await go(change({ ...inLayout, out: at('out/plain'), steps: [{ ...step, kvCache: undefined }] }));
    expect(result['fullCachePerplexity']).toBe(plain.result['perplexity']);
    expect(result['perplexity']).not.toBe(plain.result['perplexity']);
    expect(waves[0]?.details?.['kvScales']?.length).toBe(2);
  });

  it('goes on from what pruning has left, with the removed weights still gone where a code of zero is zero', async () => {
    const prune = { do: 'prune', sparsity: 0.5, waves: 1, metric: 'magnitude' };
    const result = await go(change({ steps: [prune, { do: 'quantize', scheme: 'int8' }] }));
    expect(result.waves.map(({ step, verdict }) => [step, verdict])).toEqual([
      [0, 'committed'],
      [1, 'committed'],
    ]);
    expect(result.sparsity).toBeCloseTo(0.5, 2);
    expect(result.quality?.report.changed.length).toBe(14);
  });

  it('says how sparse a model is of which it has removed weights while it rounded them', async () => {
    const result = await go(change({ ...inLayout, out: at('out/joint'), steps: [{ ...int4, pattern: '2:4' }] }));
    expect(result.sparsity).toBe(0.5);
    expect(result.waves.map(({ sparsity }) => sparsity)).toEqual([0.5]);
    expect(result.layers.length).toBeGreaterThan(0);
    for (const { name, sparsity } of result.layers) expect(sparsity, name).toBe(0.5);
  });

  it('says at once what an engine would refuse', async () => {
    const steps = [{ do: 'quantize', scheme: 'int4', groupSize: 64 }];
    await expect(go(change({ ...inLayout, steps }))).rejects.toMatchObject({ code: 'unsupported' });
    expect(existsSync(at('out'))).toBe(false);
  });
});
