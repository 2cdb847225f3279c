import {
  type Calibration,
  readCalibration,
  readPassages,
  splitCalibration,
  type TextPassages,
} from '../corpus/index.js';
import { BirdboneError } from '../errors.js';
import { defaultGate, type Gate, isOff, parseGate } from '../evaluation/index.js';
import { loadTokenizer, type Model, openPrunable } from '../model/index.js';
import type { Edit } from '../pruning/index.js';
import type { Recipe } from '../recipe.js';
import { compatibilityNotices } from './compatibility.js';
import { editOf } from './edits.js';
import { openReference, refuseNothingToHeal } from './reference-model.js';
import { unknownNotices } from './unknown-model.js';

/** Everything a run reads before it changes anything: opened, checked, and enough for every step. */
export interface Inputs {
  readonly recipe: Recipe;
  readonly model: Model;
  /** What the model is held against, where it is another: the gate's baseline, and what healing learns from. */
  readonly reference?: Model;
  readonly edits: readonly Edit[];
  readonly gate: Gate;
  /** Text the gate is measured on; undefined when the gate is off and no text was given. */
  readonly evaluation: TextPassages | undefined;
  readonly calibration: Calibration | undefined;
  /** What the edits say of the model. */
  readonly notices: readonly string[];
}

/** Opens a run's model and texts. Writes nothing; what is wrong with a recipe's files is found here, before hours of work. */
export async function openInputs(recipe: Recipe): Promise<Inputs> {
  refuseNothingToHeal(recipe);
  const order = compatibilityNotices(recipe);
  const gate = recipe.gate === undefined ? defaultGate(recipe.maxDrop) : parseGate(recipe.gate);
  const edits = await Promise.all(recipe.steps.map((step) => editOf(step, recipe)));
  const model = await openPrunable(recipe.model);
  try {
    const unknown = unknownNotices(model, recipe, edits);
    // What an edit cannot take on, it says when it plans.
    for (const edit of edits) {
      edit.plan(model);
      edit.followedBy?.plan(model);
    }
    const notices = [...order, ...unknown];
    for (const edit of edits) notices.push(...((await edit.check?.(model)) ?? []));
    const texts = await readTexts(recipe, model, {
      gateIsOff: isOff(gate),
      needed: edits.some((edit) => edit.needsCalibration),
    });
    const reference = await openReference(recipe, model);
    return { recipe, model, ...(reference && { reference }), edits, gate, ...texts, notices };
  } catch (error) {
    await model.checkpoint.close();
    throw error;
  }
}

/** Closes the models that `openInputs` has opened. */
export async function closeInputs({ model, reference }: Pick<Inputs, 'model' | 'reference'>): Promise<void> {
  await reference?.checkpoint.close();
  await model.checkpoint.close();
}

/** The texts that a recipe names for this model. Throws `usage` where one is needed and there is none. */
export async function readTexts(
  recipe: Recipe,
  model: Model,
  { gateIsOff, needed }: { readonly gateIsOff: boolean; readonly needed: boolean },
): Promise<Pick<Inputs, 'calibration' | 'evaluation'>> {
  const { calibration: text, evaluation } = recipe;
  if (text === undefined && needed) {
    throw new BirdboneError('usage', `${lookers(recipe)} at activations, and there is no calibration text.`, {
      suggestions: ['Give a text file: --calibration FILE', ...withoutText(recipe)],
    });
  }
  if (text === undefined && evaluation.file === undefined) {
    if (gateIsOff) return { calibration: undefined, evaluation: undefined };
    throw new BirdboneError('usage', 'The gate needs text to measure accuracy on, and there is none.', {
      suggestions: ['Give a text file: --data FILE', 'Turn the gate off: --max-drop 100%'],
    });
  }
  const tokenizer = await loadTokenizer(recipe.model);
  const limits = { maxContext: model.decoder.maxContext };
  if (evaluation.file === undefined) {
    return splitCalibration(text!, { ...evaluation, ...limits, tokenizer });
  }
  return {
    calibration: text === undefined ? undefined : await readCalibration(text.file, tokenizer, { ...text, ...limits }),
    evaluation: await readPassages(evaluation.file, tokenizer, { ...evaluation, ...limits }),
  };
}

/** Who needs the text: the solvers where there are any, as they replace or follow the metric. */
function lookers({ steps }: Recipe): string {
  const algorithms = steps.flatMap((step) => {
    if (step.do === 'quantize') return [step.algorithm ?? 'rtn'];
    return step.do === 'factorize' ? [step.algorithm ?? 'whitened'] : [];
  });
  if (steps.some((step) => step.do === 'heal' || (step.do === 'prune' && step.heal !== undefined)))
    return 'Healing looks';
  if (algorithms.length > 0) return `The algorithm ${algorithms.join(', ')} looks`;
  const pruning = steps.filter((step) => step.do === 'prune');
  const solvers = pruning.flatMap(({ solver }) => (solver === undefined || solver === 'none' ? [] : [solver]));
  if (solvers.length > 0) return `The solver ${solvers.join(', ')} looks`;
  return `The metric ${pruning.map(({ metric }) => metric).join(', ')} looks`;
}

/** How the same steps go without one. */
function withoutText({ steps }: Recipe): string[] {
  return [
    ...(steps.some((step) => step.do === 'prune' && step.heal === undefined)
      ? ['Score by the weights alone: --metric magnitude']
      : []),
    ...(steps.some((step) => step.do === 'factorize') ? ['Decompose the weights alone: --algorithm svd'] : []),
  ];
}

/** What a user should know about the model's files and the texts before figures are made of them. */
export function inputNotices(inputs: Inputs): string[] {
  return [...(inputs.model.checkpoint.notices ?? []), ...inputs.notices, ...textNotices(inputs)];
}

/** The part of `inputNotices` that is about texts. */
export function textNotices({ calibration, evaluation }: Pick<Inputs, 'calibration' | 'evaluation'>): string[] {
  const own = calibration?.notices ?? [];
  return [...own, ...sharingNotices({ calibration, evaluation })];
}

function sharingNotices({ calibration, evaluation }: Pick<Inputs, 'calibration' | 'evaluation'>): string[] {
  if (calibration === undefined || evaluation === undefined) return [];
  const { name } = evaluation.source;
  if (evaluation.skippedTokens > 0) {
    const windows = `${evaluation.passages.length} windows of ${evaluation.context} tokens`;
    return [
      `The gate measures on ${windows} of ${name} that calibration does not see; --data FILE gives it a text of its own.`,
    ];
  }
  if (calibration.source.sha256 !== evaluation.source.sha256) return [];
  return [`The gate measures on ${name}, the text that also calibrates: the accuracy loss it finds is flattering.`];
}
