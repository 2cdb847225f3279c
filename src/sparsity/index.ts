import { BirdboneError } from '../errors.js';
import { registryOf } from '../registry.js';
import type { Pattern, PatternFamily } from './pattern.js';

export { maskGlobally, type NamedMask } from './global.js';
export {
  combineMasks,
  density,
  fullMask,
  isKept,
  keptCount,
  type Mask,
  maskBytes,
  maskFrom,
  maskToBytes,
  sparsity,
} from './mask.js';
export type { Comparison, FixedPattern, FreePattern, Pattern } from './pattern.js';
export { removedCount } from './removal.js';
export type { MatrixScores } from './scores.js';
export { matricesWithPattern, type PatternMatrix } from './spread.js';

/** `--pattern`: how the kept weights lie in a matrix. */
export const patterns = registryOf<PatternFamily>()('pattern', {
  unstructured: () => import('./unstructured.js'),
  'N:M': () => import('./nm.js'),
});

/** The pattern that `text` names: "unstructured", "2:4". Throws `usage` that says what can be written. */
export async function parsePattern(text: string): Promise<Pattern> {
  const forms: string[] = [];
  for (const name of patterns.names) {
    const family = await patterns.load(name);
    const pattern = family.parse(text);
    if (pattern !== undefined) return pattern;
    forms.push(family.form);
  }
  throw new BirdboneError('usage', `There is no pattern "${text}". Known: ${forms.join(', ')}.`, {
    suggestions: ['Keep 2 of every 4 inputs: --pattern 2:4', 'Let any weight go: --pattern unstructured'],
  });
}
