/**
 * Text that a terminal shows and does not obey. Tensor names and config values come from strangers' files, and may hold escape
 * sequences, carriage returns and marks that reverse a line; each is spelled out. Line breaks and tabs stay.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
    character === '\n' || character === '\t' ? character : `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}
