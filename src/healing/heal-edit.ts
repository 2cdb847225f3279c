import { chunksOf, type LayerPlan } from '../checkpoint/index.js';
import { type Model, withCheckpoint } from '../model/index.js';
import { type Edit, type EditContext, type GradientCost, NO_GRAMS, type Proposal } from '../pruning/index.js';
import { type Clock, HEALING_DETAILS, type HealingOrder, healModel } from './heal-model.js';
import { healableLinears, healedTensor, healedView } from './healed-view.js';
import { checkChoices, HEAL_DEFAULTS, type HealChoices } from './settings.js';
import { trainer } from './trainer.js';

/**
 * An edit that trains the linear weights inside the blocks towards the dense model, on the calibration windows: values only, zeros stay
 * zeros bit for bit. Some windows are held out; where the model would be no nearer to the dense one on these, it stays as it was.
 */
export function healEdit(choices: HealChoices, clock: Clock = () => performance.now()): Edit {
  checkChoices(choices);
  const order: HealingOrder = { choices, masked: true, clock };
  return {
    needsCalibration: true,
    target: 1,
    goesBy: 'itself',
    heals: true,
    // How long it takes is for the settings to say, not for shapes.
    cost: (model) => ({ flops: 0, ...NO_GRAMS, gradients: trainingCost(choices, model) }),
    plan,
    propose: (context) => propose(order, context),
  };
}

/** Numbers for each one that is learnt: its value, two moments, and the value of the best state. */
const LEARNT_COPIES = 4;

function trainingCost(choices: HealChoices, model: Model): GradientCost {
  const { rank = HEAL_DEFAULTS.rank, batchWindows = HEAL_DEFAULTS.batchWindows } = choices;
  const learnt = healableLinears(model).reduce((sum, { rows, columns }) => {
    return sum + (rank === 'full' ? rows * columns : rank * (rows + columns));
  }, 0);
  return {
    windows: batchWindows,
    kinds: 0,
    training: { learntBytes: 4 * LEARNT_COPIES * learnt },
  };
}

/** Throws `unsupported` for a weight whose values cannot be replaced one by one, such as codes. */
function plan(model: Model): LayerPlan {
  return { masks: [], values: healableLinears(model).map((spec) => healedTensor(model, spec)) };
}

async function propose(order: HealingOrder, context: EditContext): Promise<Proposal> {
  const { model } = context;
  const healing = await healModel(order, context);
  const { settings, trained } = healing;
  const { state } = trained;
  const healed = state === undefined ? model.checkpoint : healedView(model, { trainer, state, settings });
  const { after, nearer } = await healing.judge(withCheckpoint(model, healed));
  await write(nearer ? healed : model.checkpoint, context);
  const record = healing.recordOf({ after, applied: nearer });
  return { details: { [HEALING_DETAILS]: [record], healed: [...healing.targets] } };
}

async function write(checkpoint: Model['checkpoint'], { model, writer }: EditContext): Promise<void> {
  for (const { weight } of healableLinears(model)) {
    let offset = 0;
    for await (const bytes of chunksOf(checkpoint, weight)) {
      await writer.writeValues(weight, offset, bytes);
      offset += bytes.length;
    }
  }
}
