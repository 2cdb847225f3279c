import { describe, expect, it } from 'vitest';
import { globalFlags } from '../../src/cli/flags.js';
import { dataFlags } from '../../src/cli/recipe-flags.js';
import Prune from '../../src/commands/prune.js';
import Score from '../../src/commands/score.js';
import { metrics } from '../../src/importance/index.js';
import { parseRecipe } from '../../src/recipe.js';
import { patterns } from '../../src/sparsity/index.js';
import { DEVICE_NAMES } from '../../src/tensor/device.js';

/** What a recipe allows in a field, from what it says about a value that it does not. */
function allowedByRecipe(field: 'compare' | 'schedule' | 'protocol'): string[] {
  const step = { do: 'prune', ...(field !== 'protocol' && { [field]: 'nonsense' }) };
  const evaluation = field === 'protocol' ? { protocol: 'nonsense' } : {};
  try {
    parseRecipe({ recipe: 1, model: 'm', out: 'o', evaluation, steps: [step] }, 'a test');
  } catch (error) {
    return [...(error as Error).message.matchAll(/"(\w+)"/g)].map(([, name = '']) => name);
  }
  throw new Error(`a recipe takes "nonsense" as ${field}`);
}

// Command files load nothing of the engine before they run, so their flags spell out what the engine has.
describe('the choices that flags name', () => {
  it.each([
    ['--device', globalFlags.device.options, ['auto', ...DEVICE_NAMES]],
    ['--protocol', dataFlags.protocol.options, allowedByRecipe('protocol')],
    ['--compare', Prune.flags.compare.options, allowedByRecipe('compare')],
    ['--schedule', Prune.flags.schedule.options, allowedByRecipe('schedule')],
  ])('%s are those of the engine', (_flag, options, known) => {
    expect([...(options ?? [])].sort()).toEqual([...known].sort());
  });

  it.each([
    ['prune --metric', Prune.flags.metric.summary, metrics.names],
    ['score --metric', Score.flags.metric.summary, metrics.names],
    ['prune --pattern', Prune.flags.pattern.summary, patterns.names],
  ])('%s mentions every one that is registered', (_flag, summary, names) => {
    for (const name of names) expect(summary).toContain(name);
  });
});
