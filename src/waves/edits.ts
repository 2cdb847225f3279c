import { type Edit, pruneEdit, refuseWithoutPlates, shedEdit, vocabularyEdit } from '../pruning/index.js';
import type { PruneStep } from '../recipe.js';

/** The edit that one recipe step asks for. A new kind of step is one line here and one row in recipe.ts. */
const EDITS: { readonly [Kind in PruneStep['do']]: (step: Extract<PruneStep, { do: Kind }>) => Promise<Edit> } = {
  prune: async (step) => {
    if (step.plates === undefined || step.plates === 'weights') return weightsEdit(step);
    return step.plates === 'vocabulary' ? vocabularyEdit(step) : shedEdit(step);
  },
};

export function editOf(step: PruneStep): Promise<Edit> {
  return EDITS[step.do](step);
}

async function weightsEdit(step: PruneStep): Promise<Edit> {
  refuseWithoutPlates(step);
  return pruneEdit(step);
}
