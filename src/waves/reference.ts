import { existsSync } from 'node:fs';
import path from 'node:path';
import { shellWord } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { nearest } from '../nearest.js';
import { type History, type StateFolder, stateAfter, type WaveState } from '../state/index.js';

/** What a reference to a model names: a folder or file, or a state of a run's output. */
export type Reference =
  | { readonly kind: 'path'; readonly path: string }
  /** `point` as it was typed: a number, `dense`, `current` or a tag. */
  | { readonly kind: 'state'; readonly out: string; readonly point: string };

/** A state and the tag that named it, if one did. */
export interface NamedState {
  readonly state: WaveState;
  readonly tag?: string;
}

/** Points that every output has; no tag may be called so, nor by words that may become points. */
const RESERVED = ['dense', 'current', 'base', 'latest', 'published'];

/** Neither a number, nor hidden, nor like a flag. */
const TAG_NAME = /^(?!\d+$)[a-z0-9][a-z0-9._-]{0,63}$/;

/**
 * What `out/half@2`, `out/half@dense`, `out/half@best` or a plain path names. Whatever exists under the whole text wins, so that
 * folders with an @ in their names stay what they were; otherwise the last @ parts output and point.
 */
export function parseReference(text: string): Reference {
  const at = text.lastIndexOf('@');
  const point = text.slice(at + 1);
  if (at <= 0 || point === '' || /[/\\]/.test(point) || existsSync(text)) return { kind: 'path', path: text };
  return { kind: 'state', out: text.slice(0, at), point };
}

/** How reports call what a reference names: the last component of a path, `half@2`. */
export function nameOf(reference: Reference): string {
  if (reference.kind === 'path') return path.basename(path.resolve(reference.path));
  return `${path.basename(path.resolve(reference.out))}@${reference.point}`;
}

/** The state that a point of an output's history names. Throws `usage` that says which points there are. */
export function stateAt(point: string | number, past: History, folder: StateFolder): NamedState {
  if (point === 'current') return { state: past.state };
  if (point === 'dense') return { state: stateAfter(0) };
  if (typeof point === 'number' || /^\d+$/.test(point))
    return { state: stateAfter(waveIn(past, Number(point), folder)) };
  const tag = past.tags.find(({ name }) => name === point);
  if (tag !== undefined) return { state: tag.state, tag: tag.name };
  const known = [...past.tags.map(({ name }) => name), 'dense', 'current'];
  const near = nearest(point, known).slice(0, 1);
  throw new BirdboneError(
    'usage',
    `${folder.out} has no tag "${point}"; a point is a wave's number, ${known.join(', ')}.`,
    {
      suggestions: [...near.map((name) => `Did you mean ${name}?`), `See them: birdbone log ${shellWord(folder.out)}`],
    },
  );
}

/** Throws `usage` unless this may be a tag's name. */
export function checkTagName(name: string): void {
  if (TAG_NAME.test(name) && !RESERVED.includes(name)) return;
  const allowed = 'up to 64 of a–z, 0–9, ".", "_" and "-", with a letter or digit first; no number, and none of';
  throw new BirdboneError('usage', `"${name}" cannot be a tag: a tag is ${allowed} ${RESERVED.join(', ')}.`, {
    suggestions: ['Choose a name such as best-so-far.'],
  });
}

function waveIn({ waves }: History, wave: number, folder: StateFolder): number {
  const last = waves.at(-1)?.wave ?? 0;
  if (Number.isInteger(wave) && wave >= 0 && wave <= last) return wave;
  throw new BirdboneError(
    'usage',
    `There is no wave ${wave}; this run has waves 1 to ${last}, and 0 is the dense model.`,
    { suggestions: [`See them: birdbone log ${shellWord(folder.out)}`] },
  );
}
