import { createHash } from 'node:crypto';
import type { Model } from '../model/index.js';
import { pauseSwitchOf } from '../pause.js';
import type { EditContext } from '../pruning/index.js';
import { type Trained, trainGuarded } from './guarded-training.js';
import { type Distance, distanceOf, divideWindows, type HealingText } from './held-out.js';
import { cautionOf, type HealingRecord } from './history.js';
import { DEFAULT_MINUTES, type HealChoices, healSettings } from './settings.js';
import { type StepsDecision, stepsForMinutes } from './steps-for-minutes.js';
import { chooseTargets, type Target } from './targets.js';
import { trainer } from './trainer.js';
import type { HealSettings, TrainContext, TrainWork } from './types.js';

/** Milliseconds from any point on; only how long steps take is read off it, and that goes into the journal. */
export type Clock = () => number;

/** The key of `details` under which a wave that healed says what it did. */
export const HEALING_DETAILS = 'healing';

/** What healing works with: of an edit's context all but where its layer goes. */
export type HealingContext = TrainContext &
  Pick<EditContext, 'model' | 'dense' | 'seed' | 'calibration' | 'progress' | 'decide' | 'earlier'>;

/** What is healed, and how much is asked of it. */
export interface HealingOrder {
  readonly choices: HealChoices;
  /** Whether what is learnt goes into the weights, whose zeros stay; else it stays beside them. */
  readonly masked: boolean;
  readonly clock: Clock;
}

/** A model that has been trained, before anything is made of it. */
export interface Healing {
  readonly settings: HealSettings;
  readonly trained: Trained;
  readonly targets: readonly Target[];
  readonly text: HealingText;
  /** Of the model before, on the text that is held out. */
  readonly before: Distance;
  /** The same of the model that came of it, and whether it is nearer. */
  judge(healed: Model): Promise<{ readonly after: Distance; readonly nearer: boolean }>;
  /** What the journal has to say of it. */
  recordOf(outcome: { readonly after: Distance; readonly applied: boolean }): HealingRecord;
}

/**
 * Trains a model towards the dense one, on most of the calibration windows: the most damaged matrices, for as many steps as were asked for
 * or fit into the minutes, under guard against spikes, with its progress kept.
 */
export async function healModel(order: HealingOrder, context: HealingContext): Promise<Healing> {
  const { model, dense = model, calibration } = context;
  const { choices } = order;
  const text = divideWindows(calibration);
  const before = await distanceOf(model, dense, text.heldOut, context);
  const patient = { model, dense, windows: text.learnt };
  const targets = await chooseTargets(patient, { alike: choices.everywhere === true }, context);
  const work = await workOf(order, { text, dense, targets }, context);
  const trained = await trainGuarded(work, context, { trainer, ...keepOf(work, context) });
  const { settings } = work;
  return {
    ...{ settings, trained, targets, text, before },
    async judge(healed) {
      const after = await distanceOf(healed, dense, text.heldOut, context);
      return { after, nearer: after.kl < before.kl };
    },
    recordOf: (outcome) => recordOf({ choices, context, settings, text, trained, before, ...outcome }),
  };
}

interface Given {
  readonly text: HealingText;
  readonly dense: Model;
  readonly targets: readonly Target[];
}

/** What is trained, and for how many steps: the recipe's number, or what fits into its minutes. */
async function workOf(
  { choices, masked, clock }: HealingOrder,
  { text, dense, targets }: Given,
  context: HealingContext,
): Promise<TrainWork> {
  const { model, seed = 0, decide = (_, make) => make() } = context;
  const intensity = new Map(targets.map(({ weight, intensity: factor }) => [weight, factor]));
  const caution = cautionOf(earlierOf(context));
  const { minutes = DEFAULT_MINUTES, steps } = choices;
  const known = { intensity, masked, seed, caution };
  const base = { student: model, teacher: dense, windows: text.learnt };
  if (steps !== undefined) return { ...base, settings: healSettings(choices, { ...known, steps }) };
  const trial = { ...base, settings: healSettings(choices, { ...known, steps: 1 }) };
  // A run that is paused while its steps are timed has no slower steps by that.
  const working = () => clock() - (pauseSwitchOf(context.signal)?.heldMilliseconds ?? 0);
  const decision: StepsDecision = await decide('healing-steps', () =>
    stepsForMinutes(trainer, trial, { minutes, clock: working }, context),
  );
  return { ...base, settings: { ...trial.settings, steps: decision.steps } };
}

function earlierOf({ earlier = [] }: Pick<EditContext, 'earlier'>): HealingRecord[] {
  return earlier.flatMap((details) => (details[HEALING_DETAILS] ?? []) as HealingRecord[]);
}

function keepOf(work: TrainWork, { progress }: HealingContext) {
  return progress === undefined ? {} : { keep: { ...progress, work: digestOf(work) } };
}

/** Of what decides the training besides the models, which the journal decides. */
function digestOf({ settings, windows }: TrainWork): string {
  const hash = createHash('sha256').update(JSON.stringify({ ...settings, intensity: [...settings.intensity] }));
  for (const { ids } of windows) hash.update(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength));
  return hash.digest('hex');
}

interface Healed {
  readonly choices: HealChoices;
  readonly context: HealingContext;
  readonly settings: HealSettings;
  readonly text: HealingText;
  readonly trained: Trained;
  readonly before: Distance;
  readonly after: Distance;
  readonly applied: boolean;
}

function recordOf({ choices, context, settings, text, trained, before, after, applied }: Healed): HealingRecord {
  const { method, rank, frozen, intensity, steps, learningRate } = settings;
  const { state, stopped, spikes, curve } = trained;
  return {
    ...{ method, rank, frozen, matrices: intensity.size, steps, taken: state?.step ?? 0 },
    ...(choices.steps === undefined && { minutes: choices.minutes ?? DEFAULT_MINUTES }),
    learningRate,
    caution: cautionOf(earlierOf(context)),
    windows: { learnt: text.learnt.length, heldOut: text.heldOut.length },
    ...{ before: numbersOf(before), after: numbersOf(after), regained: regainedOf(before, after) },
    ...{ applied, stopped, spikes, curve },
  };
}

/** A distance as JSON can hold it. */
function numbersOf(distance: Distance): Distance | null {
  return Object.values(distance).every(Number.isFinite) ? distance : null;
}

function regainedOf(before: Distance, after: Distance): number {
  const regained = 1 - after.kl / before.kl;
  return Number.isFinite(regained) ? regained : 0;
}
