import { BirdboneError } from '../errors.js';
import { factorizeEdit } from '../factorizing/index.js';
import { healEdit } from '../healing/index.js';
import { type Edit, pruneEdit, refuseWithoutPlates, shedEdit, vocabularyEdit } from '../pruning/index.js';
import { quantizeEdit } from '../quantizing/index.js';
import { outputFormat, type PruneStep, type Recipe, type Step } from '../recipe.js';

/** The edit that one recipe step asks for. A new kind of step is one line here and one row in recipe.ts. */
const EDITS: { readonly [Kind in Step['do']]: (step: Extract<Step, { do: Kind }>, recipe: Recipe) => Promise<Edit> } = {
  prune: async (step) => {
    const edit = await removingEdit(step);
    return step.heal === undefined ? edit : healedEdit(edit, step);
  },
  heal: async ({ do: _, ...choices }) => healEdit(choices),
  factorize: async ({ do: _, minStep: __, ...settings }) => factorizeEdit(settings),
  quantize: ({ do: _, ...settings }, recipe) =>
    quantizeEdit(
      { ...settings, weighted: recipe.calibration !== undefined },
      outputFormat(recipe),
      recipe.output?.tensorParallel === undefined ? {} : { tensorParallel: recipe.output.tensorParallel },
    ),
};

export function editOf(step: Step, recipe: Recipe): Promise<Edit> {
  const make = EDITS[step.do] as (step: Step, recipe: Recipe) => Promise<Edit>;
  return make(step, recipe);
}

async function removingEdit(step: PruneStep): Promise<Edit> {
  if (step.plates === undefined || step.plates === 'weights') return weightsEdit(step);
  return step.plates === 'vocabulary' ? vocabularyEdit(step) : shedEdit(step);
}

/** The edit with healing behind it: one wave removes, heals, and is judged. Throws `usage` where tokens go. */
function healedEdit(edit: Edit, { heal = {}, plates }: PruneStep): Edit {
  if (plates !== 'vocabulary') return { ...edit, needsCalibration: true, followedBy: healEdit(heal) };
  throw new BirdboneError(
    'usage',
    'A vocabulary that is cut leaves no weight to heal: tokens go, and the others stay as they are.',
    {
      suggestions: ['Leave --heal out.'],
    },
  );
}

async function weightsEdit(step: PruneStep): Promise<Edit> {
  refuseWithoutPlates(step);
  return pruneEdit(step);
}
