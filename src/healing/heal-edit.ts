import { createHash } from 'node:crypto';
import { chunksOf, type LayerPlan } from '../checkpoint/index.js';
import { type Model, withCheckpoint } from '../model/index.js';
import type { Edit, EditContext, Proposal } from '../pruning/index.js';
import { type Trained, trainGuarded } from './guarded-training.js';
import { healableLinears, healedTensor, healedView } from './healed-view.js';
import { type Distance, distanceOf, divideWindows, type HealingText } from './held-out.js';
import { cautionOf, type HealingRecord } from './history.js';
import { checkChoices, DEFAULT_MINUTES, type HealChoices, healSettings } from './settings.js';
import { type StepsDecision, stepsForMinutes } from './steps-for-minutes.js';
import { chooseTargets, type Target } from './targets.js';
import { trainer } from './trainer.js';
import type { HealSettings, TrainContext, TrainWork } from './types.js';

/** The key of `details` under which a wave that healed says what it did. */
export const HEALING_DETAILS = 'healing';

/** Milliseconds from any point on; only how long steps take is read off it, and that goes into the journal. */
export type Clock = () => number;

/**
 * An edit that trains the linear weights inside the blocks towards the dense model, on the calibration windows: values only, zeros stay
 * zeros bit for bit. One window in eight is held out; where the model would be no nearer to the dense one on these, it stays as it was.
 */
export function healEdit(choices: HealChoices, clock: Clock = () => performance.now()): Edit {
  checkChoices(choices);
  return {
    needsCalibration: true,
    target: 1,
    goesBy: 'itself',
    heals: true,
    plan,
    propose: (context) => propose(choices, clock, context),
  };
}

/** Throws `unsupported` for a weight whose values cannot be replaced one by one, such as codes. */
function plan(model: Model): LayerPlan {
  return { masks: [], values: healableLinears(model).map((spec) => healedTensor(model, spec)) };
}

async function propose(choices: HealChoices, clock: Clock, context: EditContext): Promise<Proposal> {
  const { model, dense = model } = context;
  const text = divideWindows(context.calibration);
  const before = await distanceOf(model, dense, text.heldOut, context);
  const patient = { model, dense, windows: text.learnt };
  const targets = await chooseTargets(patient, { alike: choices.everywhere === true }, contextOf(context));
  const work = await workOf(choices, { text, dense, targets, clock }, context);
  const trained = await trainGuarded(work, contextOf(context), { trainer, ...keepOf(work, context) });
  const { settings } = work;
  const { state } = trained;
  const healed = state === undefined ? model.checkpoint : healedView(model, { trainer, state, settings });
  const after = await distanceOf(withCheckpoint(model, healed), dense, text.heldOut, context);
  const applied = after.kl < before.kl;
  await write(applied ? healed : model.checkpoint, context);
  const record = recordOf({ choices, context, work, text, trained, before, after, applied });
  return { details: { [HEALING_DETAILS]: [record], healed: [...targets] } };
}

interface Given {
  readonly text: HealingText;
  readonly dense: Model;
  readonly targets: readonly Target[];
  readonly clock: Clock;
}

/** What is trained, and for how many steps: the recipe's number, or what fits into its minutes. */
async function workOf(
  choices: HealChoices,
  { text, dense, targets, clock }: Given,
  context: EditContext,
): Promise<TrainWork> {
  const { model, seed = 0, decide = (_, make) => make() } = context;
  const intensity = new Map(targets.map(({ weight, intensity }) => [weight, intensity]));
  const caution = cautionOf(earlierOf(context));
  const { minutes = DEFAULT_MINUTES, steps } = choices;
  const known = { intensity, masked: true, seed, caution };
  const base = { student: model, teacher: dense, windows: text.learnt };
  if (steps !== undefined) return { ...base, settings: healSettings(choices, { ...known, steps }) };
  const trial = { ...base, settings: healSettings(choices, { ...known, steps: 1 }) };
  const decision: StepsDecision = await decide('healing-steps', () =>
    stepsForMinutes(trainer, trial, { minutes, clock }, contextOf(context)),
  );
  return { ...base, settings: { ...trial.settings, steps: decision.steps } };
}

function earlierOf({ earlier = [] }: EditContext): HealingRecord[] {
  return earlier.flatMap((details) => (details[HEALING_DETAILS] ?? []) as HealingRecord[]);
}

function contextOf({ device, memoryBytes, spillFolder, report, signal }: EditContext): TrainContext {
  return { device, memoryBytes, spillFolder, report, ...(signal && { signal }) };
}

function keepOf(work: TrainWork, { progress }: EditContext) {
  return progress === undefined ? {} : { keep: { ...progress, work: digestOf(work) } };
}

/** Of what decides the training besides the models, which the journal decides. */
function digestOf({ settings, windows }: TrainWork): string {
  const hash = createHash('sha256').update(JSON.stringify({ ...settings, intensity: [...settings.intensity] }));
  for (const { ids } of windows) hash.update(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength));
  return hash.digest('hex');
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

interface Healed {
  readonly choices: HealChoices;
  readonly context: EditContext;
  readonly work: { readonly settings: HealSettings };
  readonly text: HealingText;
  readonly trained: Trained;
  readonly before: Distance;
  readonly after: Distance;
  readonly applied: boolean;
}

function recordOf({ choices, context, work, text, trained, before, after, applied }: Healed): HealingRecord {
  const { method, rank, frozen, intensity, steps, learningRate } = work.settings;
  const { state, stopped, spikes, curve } = trained;
  return {
    ...{ method, rank, frozen, matrices: intensity.size, steps, taken: state?.step ?? 0 },
    ...(choices.steps === undefined && { minutes: choices.minutes ?? DEFAULT_MINUTES }),
    learningRate,
    caution: cautionOf(earlierOf(context)),
    windows: { learnt: text.learnt.length, heldOut: text.heldOut.length },
    ...{ before, after, regained: before.kl === 0 ? 0 : 1 - after.kl / before.kl },
    ...{ applied, stopped, spikes, curve },
  };
}
