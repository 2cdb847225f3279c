import { describe, expect, it } from 'vitest';
import { renderLog, type ShownLog } from '../../src/cli/log-report.js';

const wave = (number: number, change: object = {}) => ({
  kind: 'wave' as const,
  wave: number,
  sparsity: number / 10,
  verdict: 'committed' as const,
  active: true,
  reason: 'accuracy loss 1 % < 3 %',
  figures: { accuracy: 0.25 - number / 100, perplexity: 60 + number },
  tensors: [{ name: 'a.q_proj', before: (number - 1) / 10, after: number / 10 }],
  ...change,
});

const state = { wave: 2, tensors: [['a.q_proj', 1]] as const };
const at = '2026-11-21T08:05:30.000Z';

const log: ShownLog = {
  out: '/out/half',
  state: '/out/.birdbone/half',
  status: 'rolled-back',
  history: {
    begin: { base: { path: '/models/x' } },
    baseline: { figures: { accuracy: 0.25, perplexity: 60 } },
    finished: { reason: 'every target reached' },
    state,
    tags: [{ name: 'gentle', state: { wave: 1, tensors: [] } }],
  },
  entries: [
    wave(1),
    wave(2),
    wave(3, { verdict: 'rolled-back', active: false, reason: 'accuracy loss 9 % ≥ 3 %' }),
    { kind: 'tag', at, name: 'gentle', state: { wave: 1, tensors: [] } },
    { kind: 'tag', at, name: 'old', state: null },
    { kind: 'control', at, action: 'skip', wave: 4, target: 0.45, by: 'request' },
    {
      kind: 'rollback',
      at,
      to: 1,
      globs: ['*q_proj*'],
      state,
      tensors: [{ name: 'a.q_proj', before: 2, after: 1 }],
    },
  ],
};

describe('renderLog', () => {
  it('shows where the output stands, its waves, and what was done since', () => {
    expect(renderLog(log)).toMatchInlineSnapshot(`
      "output    /out/half
      status    rolled-back: every target reached
      at        wave 2, but 1 tensor at wave 1
      tags      gentle (wave 1)
      base      /models/x
      state     /out/.birdbone/half

      wave   sparsity  accuracy  perplexity
      dense     0.0 %   25.00 %       60.00
      1        10.0 %   24.00 %       61.00  kept          accuracy loss 1 % < 3 %
      2        20.0 %   23.00 %       62.00  kept in part  accuracy loss 1 % < 3 %
      3        30.0 %   22.00 %       63.00  rolled back   accuracy loss 9 % ≥ 3 %
      accuracy    █▆▃▁
      perplexity  ▁▃▆█

      2026-11-21 08:05  tag gentle = wave 1
      2026-11-21 08:05  tag old removed
      2026-11-21 08:05  wave 4 skipped on request, on its way to 45.0 %
      2026-11-21 08:05  rollback of *q_proj* to wave 1: 1 tensor moved, now wave 2, but 1 tensor at wave 1"
    `);
  });

  it('shows what each wave did to the tensors that were asked for', () => {
    const entries = log.entries.filter(({ kind }) => kind === 'wave');
    expect(
      renderLog({ ...log, entries }, { byTensor: true })
        .split('\n')
        .slice(7),
    ).toMatchInlineSnapshot(`
      [
        "wave  tensor    sparsity",
        "   1  a.q_proj  0.0 % → 10.0 %   kept",
        "   2  a.q_proj  10.0 % → 20.0 %  kept",
        "   3  a.q_proj  20.0 % → 30.0 %  rolled back",
      ]
    `);
  });

  it('says so when a filter lets nothing through', () => {
    expect(renderLog({ ...log, entries: [] })).toMatch(/\n\nnothing to show$/);
  });
});
