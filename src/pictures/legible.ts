/** Characters of a name that are shown; names from strangers' files may have megabytes. */
const MAX_NAME_CHARACTERS = 120;

/** What XML forbids, what is not seen, and what turns a line around. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\ufffe\uffff]/gu;

/** A name from a checkpoint as text that a drawing may hold: what cannot be shown is spelled out, a long name loses its middle. */
export function legible(name: string): string {
  const characters = [...spelledOut(name)];
  if (characters.length <= MAX_NAME_CHARACTERS) return characters.join('');
  const half = MAX_NAME_CHARACTERS / 2;
  return `${characters.slice(0, half - 1).join('')}…${characters.slice(-half).join('')}`;
}

/** Any text as it stands inside an element or a quoted attribute of HTML or XML. */
export function escapeMarkup(text: string): string {
  return spelledOut(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function spelledOut(text: string): string {
  return text.toWellFormed().replace(UNSEEN, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}
