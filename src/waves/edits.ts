import { type Edit, pruneEdit } from '../pruning/index.js';
import type { PruneStep } from '../recipe.js';

/** The edit that one recipe step asks for. A new kind of step is one line here and one row in recipe.ts. */
const EDITS: { readonly [Kind in PruneStep['do']]: (step: Extract<PruneStep, { do: Kind }>) => Promise<Edit> } = {
  prune: pruneEdit,
};

export function editOf(step: PruneStep): Promise<Edit> {
  return EDITS[step.do](step);
}
