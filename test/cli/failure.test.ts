import { describe, expect, it } from 'vitest';
import { failureOf } from '../../src/cli/failure.js';
import { BirdboneError, type ErrorCode, EXIT_CODES } from '../../src/errors.js';

describe('failureOf', () => {
  it.each(Object.keys(EXIT_CODES) as ErrorCode[])('gives %s the exit code of errors.ts', (code) => {
    const error = new BirdboneError(code, 'wrong', { suggestions: ['try'], file: 'a.safetensors', tensor: 't' });
    expect(failureOf(error)).toEqual({
      code,
      exitCode: EXIT_CODES[code],
      message: 'wrong',
      suggestions: ['try'],
      causes: [],
      file: 'a.safetensors',
      tensor: 't',
    });
  });

  it('names the causes, outermost first', () => {
    const error = new BirdboneError('unreadable', 'top', {
      cause: new Error('middle', { cause: new Error('bottom') }),
    });
    expect(failureOf(error).causes).toEqual(['middle', 'bottom']);
  });

  it('calls anything unknown a bug of ours, with exit code 1', () => {
    for (const thrown of [new TypeError('x is undefined'), 'a string', undefined]) {
      expect(failureOf(thrown)).toMatchObject({ code: 'bug', exitCode: 1 });
    }
  });

  it.each([
    ['ENOSPC', 6],
    ['EACCES', 2],
    ['EIO', 3],
  ])('turns the system error %s into exit code %d', (code, exitCode) => {
    const error = Object.assign(new Error(`${code}: said the system`), { code });
    expect(failureOf(error)).toMatchObject({ exitCode, message: `${code}: said the system` });
    expect(failureOf(error).suggestions).toHaveLength(1);
  });
});
