import { describe, expect, it } from 'vitest';
import { printable } from '../../src/cli/printable.js';
import { progressLines } from '../../src/cli/progress.js';

describe('printable', () => {
  it('spells out what steers a terminal, and leaves the rest', () => {
    expect(printable('a\u001b[31mb\rc\u009bd\u202ee')).toBe('a\\u{1b}[31mb\\u{d}c\\u{9b}d\\u{202e}e');
    expect(printable('Wörter × 3 → █\n\t漢字 😀')).toBe('Wörter × 3 → █\n\t漢字 😀');
  });
});

describe('what people see', () => {
  it('of a notice that names a file is no escape sequence', () => {
    const written: string[] = [];
    const lines = progressLines({ write: (text) => written.push(text) });
    lines.report({ type: 'notice', message: 'Not carried over: \u001b]0;title\u0007.' });
    expect(written).toEqual(['Note: Not carried over: \\u{1b}]0;title\\u{7}.\n']);
  });
});
