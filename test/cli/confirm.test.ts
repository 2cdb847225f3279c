import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { confirm } from '../../src/cli/confirm.js';

function terminal(tty = { input: true, output: true }) {
  const input = Object.assign(new PassThrough(), { isTTY: tty.input });
  const output = Object.assign(new PassThrough(), { isTTY: tty.output });
  return { input, output };
}

const question = { impact: '3 tensors change', question: 'Go there?', mayAsk: true };

describe('confirm', () => {
  it.each(['y\n', 'Y\n', 'yes\n', ' yes \r\n'])(
    'goes on after %j, and has shown what it asks about',
    async (answer) => {
      const { input, output } = terminal();
      input.write(answer);
      await confirm(question, { input, output });
      expect(String(output.read())).toBe('3 tensors change\nGo there? [y/N] ');
    },
  );

  it.each(['n\n', '\n', 'yess\n', 'no y\n'])('stops after %j', async (answer) => {
    const { input, output } = terminal();
    input.write(answer);
    await expect(confirm(question, { input, output })).rejects.toMatchObject({
      code: 'interrupted',
      message: 'Nothing was changed.',
    });
  });

  it('stops when the input ends, and on Ctrl-C', async () => {
    const ended = terminal();
    ended.input.end();
    await expect(confirm(question, ended)).rejects.toMatchObject({ code: 'interrupted' });
    const stop = new AbortController();
    const asked = confirm({ ...question, signal: stop.signal }, terminal());
    stop.abort();
    await expect(asked).rejects.toMatchObject({ code: 'interrupted' });
  });

  it.each([
    ['input is no terminal', { input: false, output: true }, true],
    ['output is no terminal', { input: true, output: false }, true],
    ['nobody may be asked', { input: true, output: true }, false],
  ])('asks nothing where %s, and names --yes', async (_, tty, mayAsk) => {
    const { input, output } = terminal(tty);
    const asked = confirm({ ...question, mayAsk }, { input, output });
    await expect(asked).rejects.toMatchObject({
      code: 'usage',
      suggestions: expect.arrayContaining([expect.stringContaining('--yes')]),
    });
    expect(output.read()).toBeNull();
  });
});
