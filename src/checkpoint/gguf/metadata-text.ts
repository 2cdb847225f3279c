import { createHash } from 'node:crypto';
import { encodedElements } from './array.js';
import { encodeElements } from './encode.js';
import type { GgufArray, GgufMetadata, GgufScalar, GgufValue } from './value.js';

/** Arrays of at most so many values are written out; longer ones are vocabularies, and stand as a digest. */
const MAX_LISTED = 16;

/** Texts that would read as something else below. */
const LOOKS_ENCODED = /^(?:[uif](?:8|16|32|64)|bool|string|array)[:[]/;

/**
 * The metadata as texts, by key, so that two files have the same texts if and only if they have the same values of the same
 * types (two NaNs of one type apart). A string stands for itself; other values have their type before them; a long array its
 * length and the sha256 of its elements as the file has them.
 *
 * @example { 'general.name': 'tiny', 'llama.block_count': 'u32:6', 'tokenizer.ggml.tokens': 'string[4096]:sha256:5c…' }
 */
export function metadataTexts(metadata: GgufMetadata): Record<string, string> {
  return Object.fromEntries([...metadata].map(([key, value]) => [key, textOf(value)]));
}

function textOf(value: GgufValue): string {
  if (value.type === 'array') return arrayText(value);
  if (value.type === 'string') return LOOKS_ENCODED.test(value.value) ? `string:${value.value}` : value.value;
  return `${value.type}:${scalarText(value)}`;
}

function arrayText(array: GgufArray): string {
  const encoded = encodedElements(array);
  // Asking a long array that came from a file for its values would decode it.
  const length = encoded?.length ?? array.values.length;
  if (length > MAX_LISTED && (encoded !== undefined || array.of !== 'array')) {
    const bytes = encoded?.bytes ?? encodeElements(array);
    return `${array.of}[${length}]:sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  }
  return `${array.of}[${array.values.length}]:${elementTexts(array).join(',')}`;
}

function elementTexts(array: GgufArray): string[] {
  if (array.of === 'array') return array.values.map((inner) => `(${arrayText(inner)})`);
  if (array.of === 'string') return array.values.map((text) => JSON.stringify(text));
  return Array.from<unknown, string>(array.values, (value) =>
    scalarText({ type: array.of, value } as Exclude<GgufScalar, { type: 'string' }>),
  );
}

function scalarText({ type, value }: Exclude<GgufScalar, { type: 'string' }>): string {
  if (Object.is(value, -0)) return '-0';
  return type === 'f32' ? shortest(value) : String(value);
}

/** The fewest digits that give the float32 back: 1e-5 rather than 0.000009999999747378752. */
function shortest(value: number): string {
  for (let digits = 1; digits < 9; digits += 1) {
    const text = Number(value.toPrecision(digits));
    if (Math.fround(text) === value) return String(text);
  }
  return String(value);
}
