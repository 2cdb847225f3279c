const MAX_QUOTED = 120;

/**
 * A name from a file as a message may show it: in quotes, shortened, and with everything that could steer a terminal or
 * reverse the line (control, format and private characters) written as an escape.
 *
 * @example quoted('a\u001b[31m') // "a\u001b[31m" with the escape spelled out
 */
export function quoted(name: string): string {
  const shortened = name.length > MAX_QUOTED ? `${name.slice(0, MAX_QUOTED)}…` : name;
  return escaped(JSON.stringify(shortened));
}

/** Text of a file with everything that could steer a terminal written as an escape, line breaks too. */
export function escaped(text: string): string {
  return text.replace(/[\p{C}\u2028\u2029]/gu, (character) =>
    [...character].map((part) => `\\u{${part.codePointAt(0)!.toString(16)}}`).join(''),
  );
}

/**
 * A path as a word of a command that a message suggests, for POSIX shells: plain where every character is harmless, else in
 * quotes, so that a name that a stranger chose is one argument and nothing more. A leading - is kept from being an option.
 *
 * @example shellWord('a b; reboot') // 'a b; reboot', quotes included
 */
export function shellWord(path: string): string {
  const word = path.startsWith('-') ? `./${path}` : path;
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word)) return word;
  // In $'…' (POSIX 2024, and bash, zsh and ksh for long) control characters can be written as escapes.
  if (/[\p{C}\u2028\u2029]/u.test(word)) return `$'${[...word].map(ansiEscaped).join('')}'`;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function ansiEscaped(character: string): string {
  if (character === "'" || character === '\\') return `\\${character}`;
  if (!/[\p{C}\u2028\u2029]/u.test(character)) return character;
  // As bytes of UTF-8: \u is not known to every shell, nor is a lone surrogate to any.
  return [...new TextEncoder().encode(character)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}
