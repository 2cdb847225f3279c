import { BirdboneError } from '../errors.js';
import type { EngineName } from './figures.js';
import { findLlama, noLlama } from './find-llama.js';
import type { Subject } from './subjects.js';

/** `auto`: birdbone, and llama.cpp for what it loads where it is installed. */
export const ENGINE_CHOICES = ['auto', 'birdbone', 'llama.cpp', 'both'] as const;
export type EngineChoice = (typeof ENGINE_CHOICES)[number];

/** A model in an engine, to be measured. */
export interface Pairing {
  readonly subject: Subject;
  readonly engine: EngineName;
  /** node-llama-cpp's module, where that is the engine. */
  readonly library?: string;
}

interface Wish {
  readonly engine: EngineChoice;
  readonly llamaFolder?: string;
}

/**
 * Which model is measured in which engine, and what is left out. Throws `device` where llama.cpp was asked for and is not installed,
 * `usage` where it was asked for and none of the models is a GGUF.
 */
export function enginesFor(
  subjects: readonly Subject[],
  { engine: wish, llamaFolder }: Wish,
): { readonly engines: readonly Pairing[]; readonly notices: readonly string[] } {
  const own = wish === 'llama.cpp' ? [] : subjects.map((subject) => ({ subject, engine: 'birdbone' as const }));
  if (wish === 'birdbone') return { engines: own, notices: [] };
  const loadable = subjects.filter(({ isGguf }) => isGguf);
  if (loadable.length === 0) {
    if (wish === 'auto') return { engines: own, notices: [] };
    throw noGguf(subjects);
  }
  const library = findLlama(llamaFolder);
  if (library === undefined) {
    if (wish !== 'auto') throw noLlama(llamaFolder);
    return { engines: own, notices: [`Not measured in llama.cpp: ${noLlama(llamaFolder).message}`] };
  }
  const others = loadable.map((subject) => ({ subject, engine: 'llama.cpp' as const, library }));
  const notices = subjects
    .filter(({ isGguf }) => !isGguf)
    .map(({ path }) => `Not measured in llama.cpp, as it is no GGUF: ${path} (birdbone convert makes one).`);
  return { engines: [...own, ...others], notices };
}

function noGguf(subjects: readonly Subject[]): BirdboneError {
  const names = subjects.map(({ path }) => path).join(', ');
  return new BirdboneError('usage', `llama.cpp loads GGUF files; ${names} is none.`, {
    suggestions: [
      `Make one: birdbone convert ${subjects.at(-1)!.path} --out model.gguf`,
      'Measure birdbone alone: --engine birdbone',
    ],
  });
}
