/** What a strict reader finds in a document: names of elements and attributes in order, and its text. */
export interface Markup {
  readonly elements: readonly string[];
  readonly attributes: readonly string[];
  readonly text: string;
}

/** HTML elements without an end tag. */
const VOID = new Set(['meta', 'br']);
const TOKEN =
  /<!doctype html>|<style>[^<]*<\/style>|<script>[^<]*<\/script>|<(\/?)([a-zA-Z][\w-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/gy;

/**
 * Parses the subset of HTML and XML that `page` and `sheet` write, and throws at the first thing outside it: a stray `<`, an
 * attribute without quotes, an end tag that matches no start tag, an unknown entity, a character that XML forbids.
 */
export function parseMarkup(source: string): Markup {
  const elements: string[] = [];
  const attributes: string[] = [];
  const open: string[] = [];
  let text = '';
  let at = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Cs}/u.test(source))
    throw new Error('forbidden character');
  for (TOKEN.lastIndex = 0; at < source.length; at = TOKEN.lastIndex) {
    const match = TOKEN.exec(source);
    if (match === null) throw new Error(`not markup at ${at}: ${source.slice(at, at + 60)}`);
    const [, end, name, pairs = '', empty, content] = match;
    if (content !== undefined) text += decode(content);
    else if (name !== undefined && end === '/') {
      if (open.pop() !== name) throw new Error(`</${name}> at ${at} ends nothing`);
    } else if (name !== undefined) {
      elements.push(name);
      for (const [, attribute = '', value = ''] of pairs.matchAll(/([\w:-]+)="([^"]*)"/g)) {
        attributes.push(attribute);
        decode(value);
      }
      if (empty !== '/' && !VOID.has(name)) open.push(name);
    }
  }
  if (open.length > 0) throw new Error(`<${open.join('><')}> without an end`);
  return { elements, attributes, text };
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"' };

function decode(text: string): string {
  return text.replace(/&(#\d+|\w*);?/g, (entity, name: string) => {
    const character = name.startsWith('#') ? String.fromCodePoint(Number(name.slice(1))) : ENTITIES[name];
    if (character === undefined || !entity.endsWith(';')) throw new Error(`unknown entity ${entity}`);
    return character;
  });
}
