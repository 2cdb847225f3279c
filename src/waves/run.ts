import { rm } from 'node:fs/promises';
import { BirdboneError, stopIfAborted } from '../errors.js';
import { silent } from '../events.js';
import { DEFAULT_MEMORY_BYTES } from '../model/index.js';
import type { Edit } from '../pruning/index.js';
import { paceOf } from '../recipe.js';
import { lock, stateFolder, type WaveJournalRecord } from '../state/index.js';
import { openDevice } from '../tensor/index.js';
import { baseOf } from './base.js';
import { beginOrResume } from './begin.js';
import { publishStack } from './evidence.js';
import { flatFigures } from './figures.js';
import { type Inputs, inputNotices, openInputs } from './inputs.js';
import { type Baseline, measureBaseline, readBaseline } from './measure.js';
import { history, type Session } from './session.js';
import type { RunOptions, RunResult } from './settings.js';
import { nextTarget, type Outcome } from './stepper.js';
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
    await inputs.model.checkpoint.close();
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
    const release = await lock(folder.root);
    try {
      const journal = await beginOrResume(folder, inputs, device, options);
      const memoryBytes = options.memoryBytes ?? DEFAULT_MEMORY_BYTES;
      const report = options.report ?? silent;
      const stop = options.signal && { signal: options.signal };
      const scoring = { device, report, memoryBytes, spillFolder: folder.spill, ...stop };
      const session = { inputs, device, folder, journal, report, signal: options.signal, memoryBytes, scoring };
      await runToEnd(session);
      return await finish(session, options);
    } finally {
      await release();
    }
  } finally {
    await device.close();
  }
}

async function runToEnd(session: Session): Promise<void> {
  if (history(session).finished !== undefined) return;
  const baseline = await baselineOf(session);
  const { steps } = session.inputs.recipe;
  let reached = true;
  for (const step of steps.keys()) reached = (await runStep(step, baseline, session)) && reached;
  const { waves } = history(session);
  const isLimited = waves.findLast(({ verdict }) => verdict === 'rolled-back')?.limit === true;
  const ending = isLimited ? 'no more of it may go' : 'the gate let nothing more go';
  const reason = reached ? 'every target reached' : waves.some(({ active }) => active) ? ending : 'no wave was kept';
  await session.journal.append({ type: 'finish', reached, reason });
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

/** Waves of one step until there is nothing left to try; true when its target was reached. */
async function runStep(step: number, baseline: Baseline | undefined, session: Session): Promise<boolean> {
  const { inputs, signal } = session;
  const { steps } = inputs.recipe;
  const { schedule, waves, minStep } = paceOf(steps[step]!);
  const edit = inputs.edits[step]!;
  const { target } = edit;
  for (;;) {
    stopIfAborted(signal);
    const past = history(session);
    const outcomes: Outcome[] = [];
    let from = 0;
    for (const wave of past.waves) {
      const committed = wave.verdict === 'committed';
      if (wave.step === step) outcomes.push(outcomeOf(wave));
      else if (committed && countsTogether(edit, inputs.edits[wave.step]!)) from = wave.target;
    }
    const next = nextTarget({ schedule, target, waves, minStep, from }, outcomes);
    if (next === undefined)
      return (outcomes.filter((outcome) => outcome.committed).at(-1)?.target ?? from) >= target - 1e-9;
    await runWave({ wave: past.waves.length + 1, step, target: next, edit }, baseline, session);
  }
}

/** Whether the targets of both are sparsities: only these go on where another step has left them. */
function countsTogether(...edits: readonly Edit[]): boolean {
  return edits.every(({ goesBy }) => goesBy !== 'itself');
}

function outcomeOf({ target, verdict, selective, warnings = [] }: WaveJournalRecord): Outcome {
  const again = selective?.outcome === 'found';
  return { target, committed: verdict === 'committed', again, warned: warnings.length > 0 };
}

async function finish(session: Session, options: RunOptions): Promise<RunResult> {
  const past = history(session);
  // Not `active`: a run that was rolled back to its dense model kept waves, and published.
  if (!past.waves.some((wave) => wave.verdict === 'committed' && wave.changed)) throw nothingKept(session);
  const { folder, journal, report, signal, inputs } = session;
  const base = await baseOf(inputs.model, past.begin!.base.path);
  const result = await publishStack({ folder, journal, report, signal, base, diffs: options.diffs });
  await rm(folder.spill, { recursive: true, force: true });
  return result;
}

function nothingKept(session: Session): BirdboneError {
  const smallest = history(session).waves.at(-1);
  if (smallest?.limit) {
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
      `The quantized model does not pass the gate (${gate.text}): ${smallest?.reason}. Nothing was published.`,
      {
        suggestions: [
          'Allow a larger loss: --max-drop 5%',
          'Find codes by a text: --algorithm gptq --calibration FILE',
          'Take more bits: --scheme int8, smaller groups: --group-size 32, or more of both where they count: --bpw 5',
        ],
      },
    );
  }
  return new BirdboneError(
    'gate-failed',
    `No wave passed the gate (${gate.text}); the smallest tried, to sparsity ${smallest?.target.toFixed(3)}: ${smallest?.reason}. Nothing was published.`,
    {
      suggestions: [
        'Allow a larger loss: --max-drop 5%',
        'Try smaller steps: --min-step 0.5%',
        'Calibrate on more text: --calibration-windows 512',
      ],
    },
  );
}
