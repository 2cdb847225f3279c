import { BirdboneError } from '../errors.js';
import { readVocabularyFiles, vocabularyPlan } from '../vocabulary/index.js';
import type { Edit, EditContext, Proposal } from './edit.js';
import { refuseOfWeights, type ShedSettings } from './shed-settings.js';

/**
 * An edit that sheds the rows of the vocabulary which neither the calibration windows nor the text of the gate need, all in its
 * first wave; what is published has a tokenizer to match. It writes no zeros: the gate measures the model with its whole
 * vocabulary, and without the rows the tokens that stay can only become more likely.
 */
export async function vocabularyEdit(settings: ShedSettings): Promise<Edit> {
  refuseOfWeights(settings, 'vocabulary');
  refuseSettings(settings);
  return {
    needsCalibration: true,
    // All of what is not needed.
    target: 1,
    goesBy: 'itself',
    plan: () => ({ masks: [], values: [] }),
    propose,
  };
}

async function propose(context: EditContext): Promise<Proposal> {
  const { model, calibration, evaluation = [], marks, spared, report } = context;
  const used = new Set<number>();
  for (const { ids } of [...calibration, ...evaluation]) for (const id of ids) used.add(id);
  const rows = model.decoder.vocabulary;
  const plan = vocabularyPlan(await readVocabularyFiles(model.checkpoint), used, rows);
  const shed = plan.marks.without(marks).without(spared);
  if (!shed.isEmpty) {
    const { special, used: needed, byte, 'merge-path': paths } = plan.kept;
    const message = `${shed.size} of ${rows} tokens go: ${needed} stay as the texts use them, ${paths} on the way to those, ${special} as special tokens, ${byte} so that any text can be encoded.`;
    report({ type: 'notice', message });
  }
  return { marks: shed };
}

/** Throws `usage` for what would be without effect: the texts alone say how much goes. */
function refuseSettings({ sparsity, shedding, fold, target, tensorParallel, aggressiveness }: ShedSettings): void {
  const flags = {
    '--sparsity': sparsity,
    '--shedding': shedding,
    '--fold': fold,
    '--target': target,
    '--tp': tensorParallel,
    '--aggressiveness': aggressiveness,
  };
  const given = Object.entries(flags).find(([, value]) => value !== undefined);
  if (given === undefined) return;
  throw new BirdboneError(
    'usage',
    `${given[0]} ${given[1]} has no effect with --plates vocabulary: the rows that the texts never need go, and no others.`,
    { suggestions: [`Leave ${given[0]} out.`] },
  );
}
