import { BirdboneError } from '../errors.js';
import { isOff, parseGate } from '../evaluation/index.js';
import type { Model } from '../model/index.js';
import type { Edit } from '../pruning/index.js';
import type { Recipe } from '../recipe.js';

/**
 * What a user should know of a model whose architecture is unknown; nothing for the others. Throws `unsupported` where a recipe
 * asks for more than its weights alone can give: plates, text that goes through the model, a gate.
 */
export function unknownNotices({ decoder, checkpoint }: Model, recipe: Recipe, edits: readonly Edit[]): string[] {
  const { refusal, blocks } = decoder;
  if (refusal === undefined) return [];
  const refuse = (what: string, suggestion: string) => {
    const message = `${what}, and this one cannot be run: ${refusal}.`;
    return new BirdboneError('unsupported', message, { file: recipe.model, suggestions: [suggestion] });
  };
  const shedding = recipe.steps
    .filter((step) => step.do === 'prune')
    .find(({ plates }) => plates !== undefined && plates !== 'weights');
  if (shedding !== undefined) {
    throw refuse(`--plates ${shedding.plates} needs to know how a model computes`, 'Leave --plates out.');
  }
  if (edits.some((edit) => edit.needsCalibration)) {
    throw refuse('This step looks at activations in the model', 'Prune by the weights alone: --metric magnitude');
  }
  const { gate, maxDrop, calibration, evaluation } = recipe;
  const gated = gate === undefined ? maxDrop < 1 : !isOff(parseGate(gate));
  if (gated || calibration !== undefined || evaluation.file !== undefined) {
    throw refuse(
      'The gate measures a model on text',
      'Turn the gate off: --max-drop 100%, without --data or --calibration',
    );
  }
  const matrices = blocks.flatMap(({ linears }) => linears).length;
  const others = checkpoint.tensors.size - matrices;
  return [
    `The model cannot be run (${refusal}), and so nothing says what pruning costs. Its ${matrices} matrices are pruned by ` +
      `magnitude; ${others} other tensors, among them what is called an embedding or a head, stay as they are.`,
  ];
}
