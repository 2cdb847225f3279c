import { describe, expect, it } from 'vitest';
import { toJson } from '../../src/cli/json.js';
import { printable, printableJson, printableLine } from '../../src/cli/printable.js';
import { progressLines } from '../../src/cli/progress.js';

describe('printable', () => {
  it('spells out what steers a terminal, and leaves the rest', () => {
    expect(printable('a\u001b[31mb\rc\u009bd\u202ee')).toBe('a\\u{1b}[31mb\\u{d}c\\u{9b}d\\u{202e}e');
    expect(printable('Wörter × 3 → █\n\t漢字 😀')).toBe('Wörter × 3 → █\n\t漢字 😀');
  });
});

describe('printableLine', () => {
  it('lets no name pass for a line of its own', () => {
    expect(printableLine('a\nb: ok\tc\u001b[2J')).toBe('a\\nb: ok\\tc\\u{1b}[2J');
  });
});

describe('printableJson', () => {
  it('escapes what steers a terminal, for parsers to read as it was', () => {
    const value = { 'a\u001b[31m\u009b2J': ['\u202eb\r\n\t\u{e0041}', 'Wörter 漢字 😀 \u2028'] };
    const text = toJson(value);
    expect(JSON.parse(text)).toEqual(value);
    expect(text).toContain('"a\\u001b[31m\\u009b2J"');
    expect(text).toContain('"\\u202eb\\r\\n\\t\\udb40\\udc41"');
    expect(printable(text)).toBe(text);
    expect(printableJson(text)).toBe(text);
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
