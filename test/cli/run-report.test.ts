import { describe, expect, it } from 'vitest';
import { renderPlan } from '../../src/cli/plan-report.js';
import { renderRun, type ShownRun } from '../../src/cli/run-report.js';

const run: ShownRun = {
  out: 'out/half',
  manifest: 'out/half/birdbone.json',
  diff: { json: 'diffs/half.diff.json', markdown: 'diffs/half.diff.md' },
  baseline: { accuracy: 0.25, perplexity: 60 },
  result: { accuracy: 0.245, perplexity: 63 },
  waves: [
    {
      wave: 1,
      sparsity: 0.25,
      verdict: 'committed',
      active: true,
      reason: 'accuracy loss 2.00 % < 3 %',
      figures: { accuracy: 0.245, perplexity: 63 },
    },
    {
      wave: 2,
      sparsity: 0.5,
      verdict: 'rolled-back',
      active: false,
      reason: 'accuracy loss 20.00 % ≥ 3 %',
      figures: { accuracy: 0.2, perplexity: 90 },
    },
  ],
  at: { wave: 1, tensors: [] },
  sparsity: 0.25,
  reached: false,
  layers: [
    { name: 'model.layers.0.self_attn.q_proj.weight', elements: 100, sparsity: 0.25 },
    { name: 'model.layers.0.mlp.up_proj.weight', elements: 300, sparsity: 0.75 },
    { name: 'model.layers.1.mlp.up_proj.weight', elements: 300, sparsity: 0 },
  ],
};

describe('renderRun', () => {
  it('shows every wave, the sparsity of each block, the cost, and where the evidence lies', () => {
    expect(renderRun(run)).toMatchInlineSnapshot(`
      "wave   sparsity  accuracy  perplexity
      dense     0.0 %   25.00 %       60.00
      1        25.0 %   24.50 %       63.00  kept
      2        50.0 %   20.00 %       90.00  rolled back  accuracy loss 20.00 % ≥ 3 %
      accuracy    ██▁
      perplexity  ▁▁█

      model.layers.0  ███████████████·········  62.5 %  ▃▇
      model.layers.1  ························  0.0 %  ▁

      sparsity    25.0 %, short of the target: the gate let nothing more go
      accuracy    25.00 % → 24.50 % (-2.00 %)
      perplexity  60.00 → 63.00 (+5.00 %)

      model       out/half
      manifest    out/half/birdbone.json
      diff        diffs/half.diff.md
                  diffs/half.diff.json"
    `);
  });
});

describe('renderRun of a result that was taken back', () => {
  const kept = { ...run.waves[1]!, verdict: 'committed' as const };
  const lineOf = (shown: ShownRun, start: string) =>
    renderRun(shown)
      .split('\n')
      .filter((line) => line.startsWith(start));

  it('says to where, and does not blame the gate', () => {
    const back = { ...run, waves: [run.waves[0]!, kept] };
    expect(lineOf(back, 'sparsity')).toEqual(['sparsity    25.0 %, taken back to wave 1']);
  });

  it('has no figures for a mix of waves', () => {
    const at = {
      wave: 2,
      tensors: [
        ['a', 1],
        ['b', 1],
        ['c', 0],
      ] as const,
    };
    const mixed = { ...run, at, result: {}, waves: [run.waves[0]!, { ...kept, active: true }] };
    expect(lineOf(mixed, 'sparsity')).toEqual([
      'sparsity    25.0 %, taken back to wave 2, but 1 tensor dense and 2 tensors at wave 1',
    ]);
    expect(lineOf(mixed, 'accuracy ').at(-1)).toBe('accuracy    25.00 % → not measured for this mix of waves');
  });
});

describe('renderRun of a run whose waves were monitored', () => {
  it('shows what each wave gave for what, where damage starts, and warnings', () => {
    const [first, second] = run.waves;
    const blocks = { errors: [0.001, 0.02, 0.1], startsAt: 1 };
    const waves = [
      {
        ...first!,
        figures: { ...first!.figures, kl: 0.01234, agreement: 0.9 },
        blocks,
        effectiveness: { perAccuracyPoint: 12_345 },
        warnings: [{ reason: 'accuracy is lost 3.0 times as fast' }],
      },
      { ...second!, effectiveness: { perAccuracyPoint: null } },
    ];
    expect(
      renderRun({ ...run, waves })
        .split('\n')
        .slice(0, 8)
        .join('\n'),
    ).toMatchInlineSnapshot(`
      "wave   sparsity  accuracy  perplexity      KL  same top  shed/point
      dense     0.0 %   25.00 %       60.00       –         –  –
      1        25.0 %   24.50 %       63.00  0.0123    90.0 %  12.3 K      kept
      2        50.0 %   20.00 %       90.00       –         –  no loss     rolled back  accuracy loss 20.00 % ≥ 3 %
      accuracy    ██▁
      perplexity  ▁▁█
      blocks      ▁▂█  output error 0.1 % to 10.0 % after wave 1; damage starts in block 1
      warning     wave 1: accuracy is lost 3.0 times as fast"
    `);
  });
});

describe('renderPlan', () => {
  it('shows what would be done and what it would take', () => {
    const plan = renderPlan({
      out: '/out/half',
      device: 'WASM SIMD',
      recipe: {
        model: 'models/x',
        steps: [
          { do: 'prune', metric: 'wanda', pattern: 'unstructured' },
          // A solver that chooses by its own criterion, and one that corrects what a metric has chosen.
          { do: 'prune', metric: 'wanda', pattern: '2:4', solver: 'sparsegpt' },
          { do: 'prune', metric: 'ria', pattern: '2:4', solver: 'refit' },
          { do: 'prune', metric: 'wanda', pattern: 'unstructured', plates: 'ffn' },
        ],
      },
      model: { architecture: 'llama', blocks: 8, parameters: 5_767_168, prunable: 4_194_304 },
      texts: { calibrationTokens: 32_768, evaluationTokens: 10_000 },
      waves: [[0.244, 0.5], [0.5], [0.5], [0.25]],
      rankedBy: ['wanda', 'sparsegpt', 'ria', null],
      memoryBytes: { block: 2e6, batch: 1e6, hiddenStates: 33_554_432, resident: 0, spilled: 0, grams: 0, host: 4e8 },
      diskBytes: { result: 12e6, layers: 1e6, free: 1e12 },
      time: { seconds: 75 },
    });
    expect(plan).toMatchInlineSnapshot(`
      "model       models/x: llama, 8 blocks, 5.77 M parameters, 4.19 M of them prunable
      step 1      prune by wanda, unstructured: 24.4 % → 50.0 %
      step 2      prune by sparsegpt, 2:4: 50.0 %
      step 3      prune by ria, 2:4, solver refit: 50.0 %
      step 4      shed ffn: 25.0 %
      text        32.8 K tokens to calibrate on, 10.0 K to measure on
      device      WASM SIMD
      time        about 01:15, if no wave is rolled back
      memory      about 400 MB at most; 2.00 MB for a block, 33.6 MB of hidden states
      disk        13.0 MB of 1.00 TB that are free
      output      /out/half (nothing is written yet)"
    `);
  });
});
