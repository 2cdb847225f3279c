import { createHash } from 'node:crypto';
import { writeFileDurably } from '../checkpoint/index.js';
import type { RangeCoverage } from './activation-ranges.js';
import type { Choice } from './choose.js';
import type { Description } from './describe.js';
import type { Candidate } from './pool.js';

/** What a set's file says besides its passages: how it was made, and what it covers. */
export interface SetHeader {
  /** `Tokenizer.fingerprint` of the one that made the ids. */
  readonly tokenizer: string;
  /** The last part of the path of the model whose tokenizer it is. */
  readonly model: string;
  readonly context: number;
  readonly choice: Choice;
  readonly seed: number;
  /** Texts that no passage was taken from. */
  readonly apartFrom?: readonly { readonly name: string; readonly sha256: string }[];
  readonly description: Description & { readonly activations?: RangeCoverage };
}

/**
 * The bytes of a set's file, one passage a line, and their sha256: what manifests call the set by. The same set gives the same
 * bytes.
 */
export function setFile(header: SetHeader, passages: readonly Candidate[]): { text: string; sha256: string } {
  const lines = passages.map(({ source, ids, text }) => JSON.stringify({ source, ids: [...ids], text }));
  // Signature first: that is how readers tell a set from a text (SET_SIGNATURE in src/corpus).
  const text = `{"calibrationSet":1,${JSON.stringify(header).slice(1, -1)},"passages":[\n${lines.join(',\n')}\n]}\n`;
  return { text, sha256: createHash('sha256').update(text).digest('hex') };
}

/** Writes a set so that it is there whole or not at all. */
export async function writeSet(file: string, text: string): Promise<void> {
  await writeFileDurably(file, text);
}
