import { factorizeEdit } from '../factorizing/index.js';
import { type Edit, pruneEdit, refuseWithoutPlates, shedEdit, vocabularyEdit } from '../pruning/index.js';
import { quantizeEdit } from '../quantizing/index.js';
import { outputFormat, type PruneStep, type Recipe, type Step } from '../recipe.js';

/** The edit that one recipe step asks for. A new kind of step is one line here and one row in recipe.ts. */
const EDITS: { readonly [Kind in Step['do']]: (step: Extract<Step, { do: Kind }>, recipe: Recipe) => Promise<Edit> } = {
  prune: async (step) => {
    if (step.plates === undefined || step.plates === 'weights') return weightsEdit(step);
    return step.plates === 'vocabulary' ? vocabularyEdit(step) : shedEdit(step);
  },
  factorize: async ({ do: _, minStep: __, ...settings }) => factorizeEdit(settings),
  quantize: ({ do: _, ...settings }, recipe) =>
    quantizeEdit({ ...settings, weighted: recipe.calibration !== undefined }, outputFormat(recipe)),
};

export function editOf(step: Step, recipe: Recipe): Promise<Edit> {
  const make = EDITS[step.do] as (step: Step, recipe: Recipe) => Promise<Edit>;
  return make(step, recipe);
}

async function weightsEdit(step: PruneStep): Promise<Edit> {
  refuseWithoutPlates(step);
  return pruneEdit(step);
}
