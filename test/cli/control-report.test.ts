import { describe, expect, it } from 'vitest';
import { renderControl } from '../../src/cli/control-report.js';

const journal = { status: 'running', kept: 2, sparsity: 0.403 };
const run = { state: 'paused', wave: 3, target: 0.529, since: '2026-11-21T17:53:57.120Z', process: 13228, host: 'vm' };
const shown = { out: '/out/half', action: 'pause', request: 'taken', run, journal } as const;

describe('renderControl', () => {
  it('shows what a run is at, what was kept, and what became of the request', () => {
    expect(renderControl(shown)).toMatchInlineSnapshot(`
      "output    /out/half
      run       paused, wave 3 to sparsity 52.9 %, since 2026-11-21 17:53:57 (process 13228 on vm)
      kept      2 waves, sparsity 40.3 %
      request   pause: taken by the run"
    `);
  });

  it('shows a run that prepares, and one that is over', () => {
    const { wave: _, target: __, ...preparing } = run;
    const early = { ...shown, run: { ...preparing, state: 'preparing' }, journal: null, request: null } as const;
    expect(renderControl(early)).toMatchInlineSnapshot(`
      "output    /out/half
      run       preparing, since 2026-11-21 17:53:57 (process 13228 on vm)
      kept      nothing yet"
    `);
    const over = { ...shown, action: 'status', run: null, request: null } as const;
    expect(renderControl({ ...over, journal: { status: 'published', kept: 1, sparsity: 0.5 } })).toMatchInlineSnapshot(`
      "output    /out/half
      run       none under way; published
      kept      1 wave, sparsity 50.0 %"
    `);
  });

  it('says when the run has not looked yet', () => {
    expect(renderControl({ ...shown, request: 'waiting' })).toContain('pause: not taken yet');
  });
});
