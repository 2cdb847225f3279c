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
