import type { Passage } from '../corpus/index.js';
import { blockErrors, findNotFinite, type Verdict } from '../evaluation/index.js';
import type { Model } from '../model/index.js';
import type { BlockMonitor, EmergencyStop } from '../state/index.js';
import { stopText } from './emergency-stop.js';
import { type FlatFigures, flatFigures } from './figures.js';
import type { Inputs } from './inputs.js';
import { type Baseline, type Measurement, measure, verdictOn } from './measure.js';
import { heldAgainst } from './reference-model.js';
import type { Session } from './session.js';

/** The gate's word on a wave that nothing was measured of. */
const UNGUARDED: Verdict = { pass: true, reason: 'no gate and no text to measure on', terms: [] };

/** Windows that the blocks' outputs are compared on: enough for an average over some thousand tokens, and a fraction of the gate's. */
const MONITOR_PASSAGES = 8;

/** A block with this part of the largest error is where damage starts. */
const STARTING_PART = 0.1;

/** What is known of a candidate. */
export interface Examination {
  readonly verdict: Verdict;
  readonly figures: FlatFigures;
  readonly blocks?: BlockMonitor;
  /** Its numbers end somewhere: it is dropped whatever the gate says, and the run with it. */
  readonly stopped?: EmergencyStop;
}

/**
 * Measures a candidate on the gate's text and looks at each block's output, as the recipe's `monitor` says. The gate judges; but a
 * candidate whose figures or hidden states are not finite is stopped, also under a gate that is off.
 */
export async function examine(
  candidate: Model,
  baseline: Baseline | undefined,
  session: Session,
): Promise<Examination> {
  const measured = baseline === undefined ? undefined : await measure(candidate, baseline, session);
  const figures = measured === undefined ? {} : flatFigures(measured);
  if (measured !== undefined && !hasNumbers(measured)) {
    return stopAt(await locate(candidate, session.inputs.evaluation?.passages ?? [], session), figures);
  }
  const dense = heldAgainst(session.inputs);
  const sample = hasBlocksOf(dense, candidate) ? sampleOf(session) : [];
  const errors = sample.length === 0 ? [] : await blockErrors(dense, candidate, sample, session.scoring);
  if (errors.some((error) => !Number.isFinite(error))) {
    return stopAt(await locate(candidate, sample, session), figures);
  }
  const verdict = measured === undefined || baseline === undefined ? UNGUARDED : verdictOn(measured, baseline, session);
  const all = { ...figures, ...(await withFullCache(candidate, baseline, session)) };
  return { verdict, figures: all, ...(errors.length > 0 && { blocks: monitorOf(errors, sample.length) }) };
}

/** What a candidate with a cache of FP8 gives with one of full precision: what the cache costs. */
async function withFullCache(
  candidate: Model,
  baseline: Baseline | undefined,
  session: Session,
): Promise<Record<string, number>> {
  const { keyValueScales, ...model } = candidate;
  if (keyValueScales === undefined || baseline === undefined) return {};
  const { figures } = await measure(model, baseline, session, { onlyGate: true });
  return { fullCachePerplexity: figures.perplexity, fullCacheAccuracy: figures.accuracy };
}

/** Where damage starts, of each block's error. */
export function monitorOf(errors: readonly number[], passages: number): BlockMonitor {
  const largest = errors.reduce((worst, error) => Math.max(worst, error), 0);
  const start = errors.findIndex((error) => error >= STARTING_PART * largest);
  return { errors, startsAt: largest === 0 ? null : start, passages };
}

function stopAt(stopped: EmergencyStop, figures: FlatFigures): Examination {
  const verdict = { pass: false, reason: `emergency stop: ${stopText(stopped)}`, terms: [] };
  return { verdict, figures, stopped };
}

function hasNumbers({ figures, comparison }: Measurement): boolean {
  const values = [figures.perplexity, figures.accuracy, comparison.kl ?? 0];
  return values.every(Number.isFinite);
}

async function locate(
  candidate: Model,
  passages: readonly Passage[],
  { device, scoring }: Session,
): Promise<EmergencyStop> {
  const { memoryBytes, spillFolder, signal } = scoring;
  return findNotFinite(candidate, passages, { device, memoryBytes, spillFolder, ...(signal && { signal }) });
}

/** Whether each block's output can be held against the dense model's: not where blocks or hidden dimensions were cut out. */
function hasBlocksOf({ decoder: dense }: Model, { decoder: now }: Model): boolean {
  return dense.blocks.length === now.blocks.length && dense.hidden === now.hidden;
}

function sampleOf({ inputs }: Session): readonly Passage[] {
  return inputs.recipe.monitor === 'full' ? monitorSample(inputs) : [];
}

/** The windows that the blocks' outputs are compared on: the first of the calibration text, or of the gate's where there is none. */
export function monitorSample({
  calibration,
  evaluation,
}: Pick<Inputs, 'calibration' | 'evaluation'>): readonly Passage[] {
  return (calibration?.passages ?? evaluation?.passages ?? []).slice(0, MONITOR_PASSAGES);
}
