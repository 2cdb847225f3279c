const BEGIN = '# >>> birdbone';
const END = '# <<< birdbone';

/** Where lines of ours go in a text, and what is said above them. */
export interface Block {
  /** What the lines are for: one line behind the opening mark. */
  readonly title: string;
  readonly lines: readonly string[];
  /** The line (from 1) before which a new block goes; behind the last one by default. */
  readonly before?: number | undefined;
}

/**
 * A text with the block's lines in it, between two marks. A block that is there already gets the lines at its end; everything
 * else stays byte for byte, but for the line end that a last line lacks. The text's own line ends (LF or CRLF) are used.
 */
export function withBlock(text: string, { title, lines, before }: Block): string {
  if (lines.length === 0) return text;
  const lineEnd = lineEndOf(text);
  const existing = text.split(/(?<=\n)/);
  const begin = existing.findIndex((line) => line.startsWith(BEGIN));
  const end = existing.findIndex((line, index) => index > begin && line.startsWith(END));
  const ended = lines.map((line) => line + lineEnd);
  if (begin !== -1 && end !== -1) return existing.toSpliced(end, 0, ...ended).join('');
  const block = [`${BEGIN}: ${title}${lineEnd}`, ...ended, END + lineEnd];
  if (before !== undefined) return existing.toSpliced(before - 1, 0, ...block, lineEnd).join('');
  if (text === '') return block.join('');
  const whole = text.endsWith('\n') ? text : text + lineEnd;
  return [whole, /(?:^|\n)\r?\n$/.test(whole) ? '' : lineEnd, ...block].join('');
}

/** CRLF where most of a text's lines end so. */
export function lineEndOf(text: string): '\n' | '\r\n' {
  const all = text.split('\n').length - 1;
  const windows = text.split('\r\n').length - 1;
  return windows * 2 > all ? '\r\n' : '\n';
}
