import { rm } from 'node:fs/promises';
import { BirdboneError } from '../errors.js';
import { silent } from '../events.js';
import { DEFAULT_MEMORY_BYTES } from '../model/index.js';
import { type Lock, lock, nextWave, sameState, stateAfter, stateFolder } from '../state/index.js';
import { openDevice } from '../tensor/index.js';
import { baseOf } from './base.js';
import { beginOrResume } from './begin.js';
import { RunControl } from './control.js';
import { publishStack } from './evidence.js';
import { flatFigures } from './figures.js';
import { closeInputs, type Inputs, inputNotices, openInputs } from './inputs.js';
import { type Baseline, measure, measureBaseline, readBaseline, verdictOn } from './measure.js';
import { history, type Session } from './session.js';
import type { RunOptions, RunResult } from './settings.js';
import { decisionIn, reasonOf } from './step-outcomes.js';
import type { Ending } from './stepper.js';
import { runWave } from './wave.js';

/**
 * Runs a recipe: waves until its targets are reached or the gate lets nothing more go, then publishes what was kept, with
 * manifest and diff. Every step is in the journal before the next begins, so a run that is killed anywhere goes on with
 * `resume` and ends in the same bytes. Throws `gate-failed` when no wave was kept, `not-finite` when a wave made the model give no
 * numbers; then nothing is published.
 */
export async function run(options: RunOptions): Promise<RunResult> {
  const inputs = await openInputs(options.recipe);
  try {
    return await runInputs(inputs, options);
  } finally {
    await closeInputs(inputs);
  }
}

/** `run`, with everything that it reads opened; the caller closes it. */
export async function runInputs(inputs: Inputs, options: RunOptions): Promise<RunResult> {
  const folder = stateFolder(options.recipe.out, options.state);
  const device = await openDevice(
    options.device ?? 'auto',
    options.threads === undefined ? {} : { threads: options.threads },
  );
  try {
    for (const message of [...device.notices, ...inputNotices(inputs)]) options.report?.({ type: 'notice', message });
    const held = await lock(folder.root);
    try {
      await held.tell({ state: 'preparing', since: new Date().toISOString() });
      const begun = await beginOrResume(folder, inputs, device, options);
      return await runControlled({ inputs, device, folder, ...begun }, held, options);
    } finally {
      await held();
    }
  } finally {
    await device.close();
  }
}

async function runControlled(
  place: Pick<Session, 'inputs' | 'device' | 'folder' | 'journal' | 'known'>,
  held: Lock,
  options: RunOptions,
): Promise<RunResult> {
  const { device, folder, journal } = place;
  const { memoryBytes = DEFAULT_MEMORY_BYTES, report = silent } = options;
  const control = new RunControl({ folder, lock: held, journal, report, signal: options.signal });
  const { signal } = control;
  const scoring = { device, report, memoryBytes, spillFolder: folder.spill, signal };
  const session = { ...place, report, signal, memoryBytes, scoring };
  await control.open();
  try {
    await runToEnd(session, control);
    await control.publishing();
    return await finish(session, options);
  } finally {
    await control.close();
  }
}

async function runToEnd(session: Session, control: RunControl): Promise<void> {
  if (history(session).finished !== undefined) return;
  const baseline = await baselineOf(session);
  if (baseline !== undefined) await measureOwn(baseline, session);
  const endings: Ending[] = [];
  for (const step of session.inputs.recipe.steps.keys()) {
    const ending = await runStep(step, { baseline, control }, session);
    if (ending === undefined) break;
    endings.push(ending);
  }
  const stopped = endings.length < session.inputs.recipe.steps.length;
  const reached = !stopped && endings.every((ending) => ending === 'reached');
  await session.journal.append({ type: 'finish', reached, reason: reasonOf(endings, history(session), { stopped }) });
}

/** What a step's waves are held against, and who may hold them up. */
interface Guided {
  readonly baseline: Baseline | undefined;
  readonly control: RunControl;
}

async function baselineOf(session: Session): Promise<Baseline | undefined> {
  if (session.inputs.evaluation === undefined) return undefined;
  const past = history(session).baseline;
  if (past !== undefined) return readBaseline(session, past.scores);
  const { baseline, file } = await measureBaseline(session);
  const figures = flatFigures({ figures: baseline.figures });
  await session.journal.append({ type: 'baseline', figures, scores: file });
  session.report({ type: 'baseline', figures });
  return baseline;
}

/** What the run's own model is to begin with, where it is held against another: a measurement of the state without waves. */
async function measureOwn(baseline: Baseline, session: Session): Promise<void> {
  const { inputs, journal } = session;
  const state = stateAfter(0);
  const isDone = history(session).measurements.some((measured) => sameState(measured.state, state));
  if (inputs.reference === undefined || isDone) return;
  const measured = await measure(inputs.model, baseline, session);
  const { pass, reason, terms } = verdictOn(measured, baseline, session);
  await journal.append({ type: 'measured', state, figures: flatFigures(measured), pass, reason, terms });
}

/** Waves of one step until there is nothing left to try, and why; undefined when the run was stopped before. */
async function runStep(step: number, { baseline, control }: Guided, session: Session): Promise<Ending | undefined> {
  const { inputs } = session;
  const edit = inputs.edits[step]!;
  for (;;) {
    await control.between();
    const past = history(session);
    const decision = decisionIn(step, past, inputs);
    if ('end' in decision) return decision.end;
    if (await control.isStopped()) return undefined;
    const { target } = decision;
    const wave = nextWave(past);
    await control.wave({ wave, step, target }, (signal) => {
      const scoring = { ...session.scoring, signal };
      return runWave({ wave, step, target, edit }, baseline, { ...session, signal, scoring });
    });
  }
}

async function finish(session: Session, options: RunOptions): Promise<RunResult> {
  const past = history(session);
  // Not `active`: a run that was rolled back to its dense model kept waves, and published.
  if (!past.waves.some((wave) => wave.verdict === 'committed' && wave.changed)) throw nothingKept(session);
  const { folder, journal, report, signal, inputs, known } = session;
  const base = await baseOf(inputs.model, past.begin!.base.path);
  const result = await publishStack({ folder, journal, known, report, signal, base, diffs: options.diffs });
  await rm(folder.spill, { recursive: true, force: true });
  return result;
}

function nothingKept(session: Session): BirdboneError {
  const { waves, controls } = history(session);
  const smallest = waves.at(-1);
  const isStopped = controls.some(({ action }) => action === 'stop');
  if (isStopped || smallest === undefined) {
    const why = isStopped ? 'The run was stopped by hand before a wave was kept' : 'Every wave was skipped by hand';
    return new BirdboneError('interrupted', `${why}. Nothing was published.`, {
      suggestions: ['Begin anew: --restart'],
    });
  }
  if (smallest.limit) {
    return new BirdboneError(
      'unsupported',
      `No wave could do what it was to; the smallest tried, to sparsity ${smallest.target.toFixed(3)}: ${smallest.reason}. Nothing was published.`,
      { suggestions: ['Shed less: a smaller --sparsity', 'Release more of what is protected: --aggressiveness 100%'] },
    );
  }
  const { gate, recipe } = session.inputs;
  if (recipe.steps.every((step) => step.do === 'quantize')) {
    return new BirdboneError(
      'gate-failed',
      `The quantized model does not pass the gate (${gate.text}): ${smallest.reason}. Nothing was published.`,
      {
        suggestions: [
          'Allow a larger loss: --max-drop 5%',
          'Find codes by a text: --algorithm gptq --calibration FILE',
          'Take more bits: --scheme int8, smaller groups: --group-size 32, or more of both where they count: --bpw 5',
        ],
      },
    );
  }
  if (recipe.steps.every((step) => step.do === 'heal')) {
    return new BirdboneError(
      'gate-failed',
      `The healed model is not kept: ${smallest.reason}. Nothing was published.`,
      {
        suggestions: [
          'Train longer: --minutes 15',
          'Learn from more text: --calibration-windows 512',
          'Train the weights that are left themselves: --rank full',
        ],
      },
    );
  }
  return new BirdboneError(
    'gate-failed',
    `No wave passed the gate (${gate.text}); the smallest tried, to sparsity ${smallest.target.toFixed(3)}: ${smallest.reason}. Nothing was published.`,
    {
      suggestions: [
        'Allow a larger loss: --max-drop 5%',
        'Try smaller steps: --min-step 0.5%',
        'Calibrate on more text: --calibration-windows 512',
      ],
    },
  );
}
