import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BirdboneError } from '../errors.js';
import { type Report, silent } from '../events.js';
import { DEFAULT_MEMORY_BYTES } from '../model/index.js';
import { type History, type StateFolder, type StateMeasurement, verifyLayers } from '../state/index.js';
import { type DeviceChoice, openDevice } from '../tensor/index.js';
import type { Base } from './base.js';
import { flatFigures } from './figures.js';
import { type Inputs, openInputs } from './inputs.js';
import { type MeasuringSession, measure, readBaseline, verdictOn } from './measure.js';
import { closeLayers, openLayers } from './session.js';
import { stacked } from './stack.js';

export interface MeasureOptions {
  readonly device?: DeviceChoice;
  readonly threads?: number;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/**
 * Measures the current state of `past` on the run's own text, against the run's own dense baseline, as the run measured its waves.
 * Writes nothing that stays. Throws `usage` when the run measured nothing, `mismatch` when its text is another one now.
 */
export async function measureState(
  past: History,
  { folder, base }: { readonly folder: StateFolder; readonly base: Base },
  options: MeasureOptions,
): Promise<StateMeasurement> {
  if (past.baseline === undefined) throw nothingToMeasureOn(folder);
  const { report = silent, signal } = options;
  const inputs = await openTexts(past, base);
  const { device: choice = 'auto', threads } = options;
  const device = await openDevice(choice, threads === undefined ? {} : { threads });
  const spillFolder = await mkdtemp(path.join(tmpdir(), 'birdbone-'));
  try {
    const watch = { report, ...(signal && { signal }) };
    const scoring = { device, memoryBytes: DEFAULT_MEMORY_BYTES, spillFolder, ...watch };
    return await measureThrough(past, past.baseline.scores, { inputs, folder, scoring });
  } finally {
    await rm(spillFolder, { recursive: true, force: true });
    await device.close();
    await inputs.reference?.checkpoint.close();
  }
}

async function measureThrough(
  past: History,
  scores: NonNullable<History['baseline']>['scores'],
  session: MeasuringSession,
): Promise<StateMeasurement> {
  const { folder, inputs } = session;
  await verifyLayers(
    folder,
    past.waves.filter(({ active }) => active),
  );
  const baseline = await readBaseline(session, scores);
  const layers = await openLayers(folder, past);
  try {
    const measured = await measure(await stacked(inputs.model, layers), baseline, session);
    const { pass, reason, terms } = verdictOn(measured, baseline, session);
    return { state: past.state, figures: flatFigures(measured), pass, reason, terms };
  } finally {
    await closeLayers(layers);
  }
}

/** The run's inputs over the base that is at hand. */
async function openTexts({ begin }: History, base: Base): Promise<Inputs> {
  const { recipe, evaluation } = begin!;
  const inputs = await openInputs({ ...recipe, model: base.path });
  await inputs.model.checkpoint.close();
  if (inputs.evaluation?.source.sha256 !== evaluation?.sha256) {
    throw new BirdboneError('mismatch', `The text ${evaluation?.name} has changed since the run.`, {
      suggestions: ['Restore it as it was, or roll back without --measure.'],
    });
  }
  return { ...inputs, model: base.model };
}

function nothingToMeasureOn({ out }: StateFolder): BirdboneError {
  return new BirdboneError(
    'usage',
    `The run of ${out} had no text to measure on, so there is nothing to compare with.`,
    {
      suggestions: ['Roll back without --measure, then: birdbone evaluate MODEL --data FILE'],
    },
  );
}
