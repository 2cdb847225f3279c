import { roomUsed } from '../evaluation/index.js';
import type { Edit } from '../pruning/index.js';
import { paceOf, type Recipe } from '../recipe.js';
import { type History, sameState, stateAfter, type WaveJournalRecord } from '../state/index.js';
import { type Decision, decide, type Ending, type Outcome, type StepperSettings } from './stepper.js';

/** What of a run its steps go by. */
export interface Course {
  readonly recipe: Pick<Recipe, 'steps' | 'gateConfident'>;
  readonly edits: readonly Pick<Edit, 'target' | 'goesBy'>[];
}

/**
 * What comes next in a step of the recipe, by what the journal says of its waves and of those before it. Pure: the journal alone
 * decides, so a run that goes on decides as the one that was killed.
 */
export function decisionIn(step: number, past: History, course: Course): Decision {
  return decide(settingsOf(step, past, course), outcomesOf(step, past, course));
}

function settingsOf(step: number, past: History, { recipe, edits }: Course): StepperSettings {
  const edit = edits[step]!;
  const kept = past.waves.filter((wave) => wave.step !== step && wave.verdict === 'committed');
  const from = kept.findLast((wave) => countsTogether(edit, edits[wave.step]!))?.target ?? 0;
  const own = past.measurements.find(({ state }) => sameState(state, stateAfter(0)));
  const before = kept.at(-1)?.terms ?? own?.terms ?? [];
  const usedBefore = roomUsed(before, { confident: recipe.gateConfident });
  return { ...paceOf(recipe.steps[step]!), target: edit.target, from, ...(usedBefore !== undefined && { usedBefore }) };
}

/** Whether the targets of both are sparsities: only these go on where another step has left them. */
function countsTogether(...edits: readonly Pick<Edit, 'goesBy'>[]): boolean {
  return edits.every(({ goesBy }) => goesBy !== 'itself');
}

/** Waves and skips of a step, in the order of their numbers. */
function outcomesOf(step: number, { waves, controls }: History, { recipe }: Course): Outcome[] {
  const judged = waves
    .filter((wave) => wave.step === step)
    .map((wave) => ({ wave: wave.wave, ...outcomeOf(wave, recipe.gateConfident) }));
  const skipped = controls
    .filter((control) => control.action === 'skip' && control.step === step)
    .map(({ wave, target = 0 }) => ({ wave, target, committed: false, skipped: true }));
  return [...judged, ...skipped].sort((left, right) => left.wave - right.wave);
}

function outcomeOf(
  { target, verdict, selective, terms, warnings = [] }: WaveJournalRecord,
  confident: boolean,
): Outcome {
  const committed = verdict === 'committed';
  const used = committed ? roomUsed(terms, { confident }) : undefined;
  const again = selective?.outcome === 'found';
  return { target, committed, again, warned: warnings.length > 0, ...(used !== undefined && { used }) };
}

/** How a run ended that did not reach every target, by its last step that did not. */
const SHORT: Readonly<Record<Exclude<Ending, 'reached'>, string>> = {
  limit: 'the gate let nothing more go',
  failures: 'the gate refused as many waves in a row as the recipe allows',
  waves: 'the recipe allows no more waves',
  skipped: 'the rest was skipped',
};

/** Why a run is over, in words, from how each of its steps ended; `stopped`: by hand, before the others came. */
export function reasonOf(
  endings: readonly Ending[],
  { waves }: Pick<History, 'waves'>,
  { stopped }: { readonly stopped: boolean },
): string {
  if (stopped) return 'stopped by hand';
  const short = endings.findLast((ending) => ending !== 'reached');
  if (short === undefined) return 'every target reached';
  if (!waves.some(({ active }) => active)) return 'no wave was kept';
  const isLimited = waves.findLast(({ verdict }) => verdict === 'rolled-back')?.limit === true;
  return isLimited && (short === 'limit' || short === 'failures') ? 'no more of it may go' : SHORT[short];
}
