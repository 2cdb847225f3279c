import { namePattern } from './name-pattern.js';

const PATTERN = 're:';

/** The class of every layer that is quantized here. Other classes (Embedding, an attention) are none of ours. */
const LINEAR = 'Linear';

/** A list of modules as config.json names them. */
export interface Targets {
  /** How closely a module is meant: by name, by a pattern, or by its class; undefined when it is not. */
  match(module: string): 'name' | 'pattern' | 'class' | undefined;
}

/**
 * What a list of targets means: names, `re:` and a pattern that a name must begin with, and classes.
 * Source: vllm-project/compressed-tensors, utils/match.py (`match_targets`).
 */
export function targetsOf(texts: readonly string[], file: string): Targets {
  const names = new Set(texts.filter((text) => !text.startsWith(PATTERN)));
  const patterns = texts
    .filter((text) => text.startsWith(PATTERN))
    .map((text) => namePattern(text.slice(PATTERN.length), file));
  return {
    match(module) {
      if (names.has(module)) return 'name';
      if (patterns.some((matches) => matches(module))) return 'pattern';
      return names.has(LINEAR) ? 'class' : undefined;
    },
  };
}

/** The one of these that means a module most closely; of two that mean it alike the first. */
export function closest<Entry extends { readonly targets: Targets }>(
  entries: readonly Entry[],
  module: string,
): Entry | undefined {
  const found = entries.map((entry) => ({ entry, how: entry.targets.match(module) }));
  for (const how of ['name', 'pattern', 'class']) {
    const first = found.find((candidate) => candidate.how === how);
    if (first !== undefined) return first.entry;
  }
  return undefined;
}
