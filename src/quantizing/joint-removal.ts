import { BirdboneError } from '../errors.js';
import type { Model } from '../model/index.js';
import { type Removals, removals } from '../pruning/index.js';
import { type Pattern, parsePattern } from '../sparsity/index.js';
import type { Format } from './formats.js';
import type { QuantizeSettings } from './settings.js';

/** What a step removes of a model's matrices in the sweep that rounds them. */
export interface JointRemoval {
  /** Whether neighbouring inputs are decided together, so that columns stay in their order. */
  readonly keepsOrder: boolean;
  of(model: Model): Removals;
}

/**
 * What a step with a sparsity or a pattern removes while it rounds (Frantar & Alistarh 2023, "SparseGPT", section 3.5): the weights that
 * cost least where the sweep is, of each 128 columns together or by N:M. undefined for a step that removes nothing. Throws `usage` for
 * an algorithm that has no sweep, for a budget, for blocks of ggml, and for a sparsity that the pattern does not have.
 */
export async function jointRemoval(settings: QuantizeSettings, format: Format): Promise<JointRemoval | undefined> {
  const { sparsity, pattern: text = 'unstructured' } = settings;
  if (sparsity === undefined && settings.pattern === undefined) return undefined;
  refuseOthers(settings, format);
  const pattern = await parsePattern(text);
  const target = targetOf(pattern, text, sparsity);
  return {
    keepsOrder: pattern.kind === 'fixed',
    of: (model) => removals(model, { pattern, compare: 'layer', target }),
  };
}

function refuseOthers({ algorithm = 'rtn', bitsPerWeight, sizeBytes }: QuantizeSettings, format: Format): void {
  if (format === 'gguf') {
    throw refused('blocks of ggml are not rounded column by column, and there is no sweep to remove weights in', [
      'Shed whole plates first, which makes the file smaller: birdbone prune MODEL --plates ffn --target llama.cpp',
    ]);
  }
  if (algorithm !== 'gptq') {
    throw refused(
      `--algorithm ${algorithm} rounds each weight by itself, and has nothing that makes up for what goes`,
      ['Remove and round in one sweep: --algorithm gptq', 'Prune first, and quantize the result: zeros stay zeros.'],
    );
  }
  if (bitsPerWeight === undefined && sizeBytes === undefined) return;
  throw refused('a budget is divided by what rounding alone does to the model', ['Name a scheme: --scheme int4']);
}

function refused(reason: string, suggestions: readonly string[]): BirdboneError {
  return new BirdboneError('usage', `--sparsity and --pattern are not allowed here: ${reason}.`, { suggestions });
}

function targetOf(pattern: Pattern, text: string, sparsity: number | undefined): number {
  if (pattern.kind === 'fixed') {
    const { sparsity: most } = pattern;
    if (sparsity === undefined || sparsity <= most) return sparsity ?? most;
    throw new BirdboneError(
      'usage',
      `${text} removes ${most} of the weights: a sparsity of ${sparsity} is above that.`,
      {
        suggestions: ['Leave --sparsity out.', `--sparsity ${most}`],
      },
    );
  }
  if (sparsity !== undefined) return sparsity;
  throw new BirdboneError('usage', `--pattern ${text} does not say how much goes.`, {
    suggestions: ['Remove half of the weights: --sparsity 0.5', 'Keep 2 of every 4 inputs: --pattern 2:4'],
  });
}
