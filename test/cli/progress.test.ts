import { describe, expect, it } from 'vitest';
import { progressLines } from '../../src/cli/progress.js';
import type { Event } from '../../src/events.js';

const wave: Event = {
  type: 'wave',
  wave: 1,
  verdict: 'committed',
  sparsity: 0.244,
  figures: { accuracy: 0.2427, perplexity: 65.31 },
  reason: 'accuracy loss 0.10 % < 3 %',
};

function recorded(options: { isTTY: boolean }, events: readonly Event[]): string {
  let text = '';
  let clock = 0;
  const sink = progressLines({ ...options, columns: 80, write: (part) => (text += part) }, () => clock);
  for (const event of events) {
    clock += 1000;
    sink.report(event);
  }
  sink.close();
  return text;
}

const scoring = (done: number): Event => ({ type: 'progress', stage: 'evaluate', done, total: 10, unit: 'windows' });

describe('progress away from a terminal', () => {
  it('writes a line for each thing that ends and none for steps in between', () => {
    const text = recorded({ isTTY: false }, [
      { type: 'baseline', figures: { accuracy: 0.2427, perplexity: 65.296 } },
      scoring(1),
      wave,
      { type: 'published', path: 'out/half' },
    ]);
    expect(text).toBe(
      [
        'dense    accuracy 24.27 %  perplexity 65.30',
        'wave 1   sparsity 24.4 %  accuracy 24.27 %  perplexity 65.31  kept: accuracy loss 0.10 % < 3 %',
        'published out/half',
        '',
      ].join('\n'),
    );
  });

  it('says what was done by hand', () => {
    const by = 'request' as const;
    const text = recorded({ isTTY: false }, [
      { type: 'control', action: 'pause', wave: 3, by: 'signal' },
      { type: 'control', action: 'resume', wave: 3, by },
      { type: 'control', action: 'skip', wave: 3, step: 0, target: 0.4, by },
      { type: 'control', action: 'stop', wave: 4, by },
    ]);
    expect(text.split('\n')).toEqual([
      'paused at wave 3 by a signal',
      'went on with wave 3 on request',
      'wave 3 skipped on request, on its way to 40.0 %',
      'stopped before wave 4 on request',
      '',
    ]);
  });

  it('says a notice once', () => {
    const notice: Event = { type: 'notice', message: 'plain WASM' };
    expect(recorded({ isTTY: false }, [notice, notice])).toBe('Note: plain WASM\n');
  });
});

describe('progress on a terminal', () => {
  it('rewrites one line with the wave, its sparsity, the stage and the time that is left', () => {
    const text = recorded({ isTTY: true }, [wave, scoring(2), scoring(4)]);
    expect(text.split('\r\u001b[2K').at(-2)).toBe('wave 2  sparsity 24.4 %  evaluate 4/10 windows  00:03 left');
  });

  it('leaves no half line behind', () => {
    expect(recorded({ isTTY: true }, [scoring(5)]).endsWith('\r\u001b[2K')).toBe(true);
  });

  it('never writes past the right edge', () => {
    const long: Event = { type: 'progress', stage: 'x'.repeat(200), done: 1, total: 2, unit: 'rows' };
    expect(recorded({ isTTY: true }, [long]).split('\r\u001b[2K')[1]).toHaveLength(79);
  });
});
