/**
 * Text that a terminal shows and does not obey. Tensor names and config values come from strangers' files, and may hold escape
 * sequences, carriage returns and marks that reverse a line; each is spelled out. Line breaks and tabs stay.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
    character === '\n' || character === '\t' ? character : `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}

/** The same within one line: a name with a line break must not pass for a line of its own. */
export function printableLine(text: string): string {
  return printable(text).replace(/[\n\t]/g, (character) => (character === '\n' ? '\\n' : '\\t'));
}

/** JSON that a terminal shows and does not obey, and that parsers read as before: the same characters, escaped as JSON has it. */
export function printableJson(json: string): string {
  return json.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
    character === '\n'
      ? character
      : Array.from({ length: character.length }, (_, unit) => escaped(character, unit)).join(''),
  );
}

function escaped(character: string, unit: number): string {
  return `\\u${character.charCodeAt(unit).toString(16).padStart(4, '0')}`;
}
