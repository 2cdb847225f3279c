import { describe, expect, it } from 'vitest';
import { renderRollback, type ShownRollback } from '../../src/cli/rollback-report.js';

const plan: ShownRollback = {
  out: '/out/half',
  from: { wave: 3, tensors: [] },
  target: { wave: 1, tensors: [] },
  goes: [2, 3],
  returns: [],
  changes: ['a', 'b', 'c'],
  sparsity: { now: 0.5, after: 0.2 },
  weightBytes: { now: 12_000_000, after: 12_000_000 },
  figures: { now: { accuracy: 0.24, perplexity: 64 }, after: { accuracy: 0.25, perplexity: 60 } },
};

describe('renderRollback', () => {
  it('shows what is now and what would be', () => {
    expect(renderRollback({ ...plan, tag: 'gentle' })).toMatchInlineSnapshot(`
      "output      /out/half
      state       wave 3 → wave 1 (gentle)
      goes        wave 2, 3
      tensors     3 change
      sparsity    50.0 % → 20.0 %
      weights     12.0 MB → 12.0 MB
      accuracy    24.00 % → 25.00 % (+4.17 %)
      perplexity  64.00 → 60.00 (-6.25 %)"
    `);
  });

  it('says of a mix of waves that nobody has measured it', () => {
    const target = {
      wave: 3,
      tensors: [
        ['a', 0],
        ['b', 1],
        ['c', 1],
      ] as const,
    };
    const tensors = { globs: ['*.mlp.*', '*q_proj*'], matched: 7 };
    const mixed = { ...plan, target, tensors, goes: [], returns: [2], figures: { ...plan.figures, after: null } };
    expect(renderRollback(mixed)).toMatchInlineSnapshot(`
      "output      /out/half
      state       wave 3 → wave 3, but 1 tensor dense and 2 tensors at wave 1
      comes back  wave 2
      tensors     3 change, of 7 that match *.mlp.* *q_proj*
      sparsity    50.0 % → 20.0 %
      weights     12.0 MB → 12.0 MB
      accuracy    24.00 % → not measured
      perplexity  64.00 → not measured"
    `);
  });

  it('says what the gate makes of a mix that was measured', () => {
    const text = (pass: boolean) => renderRollback({ ...plan, measured: { pass, reason: 'accuracy loss 4 %' } });
    expect(text(true)).toMatch(/\ngate {8}passes: accuracy loss 4 %$/);
    expect(text(false)).toMatch(/\ngate {8}does not pass: accuracy loss 4 %$/);
  });

  it('leaves out figures that nobody has, and a folder that cannot be read', () => {
    const text = renderRollback({ ...plan, weightBytes: { now: null, after: 5 }, figures: { now: null, after: null } });
    expect(text).not.toContain('accuracy');
    expect(text).toContain('weights     nothing readable → 5 B');
  });
});
