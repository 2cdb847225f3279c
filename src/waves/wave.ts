import type { Model } from '../model/index.js';
import type { Edit } from '../pruning/index.js';
import { discardLayer, forgetProgress, type History, objectFile, type WaveJournalRecord } from '../state/index.js';
import { openStoredLayer } from '../store/index.js';
import { effectivenessOf } from './effectiveness.js';
import { stoppedError } from './emergency-stop.js';
import { type Examination, examine } from './examine.js';
import { sparsityAfter, sparsityFound, sparsityKept, type WaveSparsity } from './layer-sparsity.js';
import { cacheScales } from './layout-extras.js';
import type { Baseline } from './measure.js';
import { figuresBefore, nearerVerdict } from './nearer.js';
import { predictionOf } from './prediction.js';
import { type Proposed, propose } from './proposal.js';
import { findCulpritPlates, isRepairable } from './selective.js';
import { closeLayers, history, openLayers, type Session, type WaveLayer } from './session.js';
import { finalModel, isCut, type StackableLayer, type StackedModel, stacked } from './stack.js';
import { warningsOf } from './wave-warnings.js';

/** A pattern that comes in by whole matrices may have none for a small step: the schedule goes on, and nothing is measured. */
const UNCHANGED = { pass: true, reason: 'this step is too small to remove a weight more', terms: [] };

export interface WaveSettings {
  readonly wave: number;
  /** Index of the recipe's step. */
  readonly step: number;
  readonly target: number;
  readonly edit: Edit;
}

/**
 * One wave: the edit proposes a layer over the waves kept so far, the candidate is examined, and the journal records the verdict;
 * that record is the commit. Of a wave that sheds plates and fails its gate, the record also says which of them did it, where that
 * can be found. Objects that no wave in the journal names were never kept, whatever lies on disk. Throws `not-finite`, after the
 * record, for a wave that made the model give no numbers.
 */
export async function runWave(settings: WaveSettings, baseline: Baseline | undefined, session: Session): Promise<void> {
  const { folder, inputs, journal } = session;
  const past = history(session);
  const opened = await openLayers(folder, past, session.known.store);
  try {
    const kept = await keptModel(settings.edit, inputs.model, opened);
    const proposed = await propose(settings, { model: kept, layers: opened, past }, session);
    if (proposed.differences) session.known.differences.set(proposed.sha256, proposed.differences);
    const { shapes } = settings.edit;
    const layer = await openStoredLayer(session.known.store, proposed.sha256);
    const layers: StackableLayer[] = [
      ...opened,
      { ...layer, ...(shapes && { shapes }), ...cacheScales(proposed.details) },
    ];
    const candidate = await stacked(inputs.model, layers);
    const { plan } = proposed;
    const sparsity = await sparsityOf(settings.edit, proposed, { past, layers, seen: candidate.checkpoint });
    const isChanged = plan.values.length > 0 || sparsity.newlyRemoved !== 0 || !proposed.shed.isEmpty;
    const examined = await examination({ settings, proposed, isChanged, past, candidate }, baseline, session);
    const found =
      baseline !== undefined && isToBeSearched(examined, proposed) && isRepairable(past, settings, proposed.shed)
        ? await findCulpritPlates({ kept, layers: opened, shed: proposed.shed }, baseline, session)
        : undefined;
    const own = recordOf({ settings, past, proposed, sparsity, isChanged, examined, found });
    // Only where what is removed is what does the damage.
    const goesBySparsity = settings.edit.goesBy !== 'itself' && !settings.edit.heals;
    const foretold = goesBySparsity && isChanged ? predictionOf(past, own, inputs.model.decoder) : undefined;
    const record = { ...own, ...(foretold && { foretold }) };
    await journal.append({ ...record });
    await conclude(record, proposed, session);
  } finally {
    await closeLayers(opened);
  }
}

function sparsityOf(
  { shapes, heals }: Edit,
  { plan, removed }: Proposed,
  now: {
    readonly past: History;
    readonly layers: readonly StackableLayer[];
    readonly seen: StackedModel['checkpoint'];
  },
): WaveSparsity | Promise<WaveSparsity> {
  if (shapes === 'final') return sparsityKept(plan, now.past, removed);
  return heals ? sparsityFound(plan, now.seen) : sparsityAfter(plan, now.past, now);
}

/** What the edit's wave is proposed over: with the plates that are gone at zero, or cut out for an edit of final shapes. */
async function keptModel(edit: Edit, dense: Model, opened: readonly WaveLayer[]): Promise<StackedModel> {
  if (edit.shapes !== 'final') return stacked(dense, opened);
  const model = await finalModel(dense, opened);
  // Whether it can be done was asked of the dense model; what is cut has other widths.
  if (isCut(opened)) await edit.check?.(model);
  return model;
}

/** What is there when a wave is over, and before the next one begins. */
async function conclude(record: WaveJournalRecord, { steps }: Proposed, session: Session): Promise<void> {
  const { folder, report, inputs } = session;
  const needless = record.verdict === 'rolled-back' ? [...steps, record.layer.sha256] : steps;
  for (const layer of needless) await discardLayer(folder, history(session), layer);
  await forgetProgress(folder);
  report({ ...record });
  for (const { reason } of record.warnings ?? []) {
    report({ type: 'notice', message: `Wave ${record.wave}: ${reason}. The next step is half as large.` });
  }
  if (record.stopped !== undefined) throw stoppedError(record, inputs.recipe.out);
}

interface Examinable {
  readonly settings: WaveSettings;
  readonly proposed: Proposed;
  readonly isChanged: boolean;
  readonly past: History;
  readonly candidate: Model;
}

/** What is known of a candidate: measured, unless there is nothing to measure. */
async function examination(
  { settings, proposed, isChanged, past, candidate }: Examinable,
  baseline: Baseline | undefined,
  session: Session,
): Promise<Examination> {
  const figures = figuresBefore(past);
  if (isChanged && proposed.limit === undefined) {
    const examined = await examine(candidate, baseline, session);
    if (!settings.edit.heals) return examined;
    return { ...examined, verdict: nearerVerdict(examined.verdict, figures, examined.figures) };
  }
  if (proposed.limit === undefined) return { verdict: UNCHANGED, figures };
  return { verdict: { pass: false, reason: proposed.limit, terms: [] }, figures };
}

/** A search can find who broke a gate, not why numbers end, nor why too little could go. */
function isToBeSearched({ verdict, stopped }: Examination, { limit }: Proposed): boolean {
  return !verdict.pass && stopped === undefined && limit === undefined;
}

interface Done {
  readonly settings: WaveSettings;
  readonly past: History;
  readonly proposed: Proposed;
  readonly sparsity: WaveSparsity;
  readonly isChanged: boolean;
  readonly examined: Examination;
  readonly found: Awaited<ReturnType<typeof findCulpritPlates>> | undefined;
}

function recordOf(done: Done): WaveJournalRecord {
  const { settings, past, proposed, isChanged, examined, found } = done;
  const { elements, removed, layers } = done.sparsity;
  // Zeros that a model had before it was healed are nobody's work here.
  const newlyRemoved = settings.edit.heals ? 0 : done.sparsity.newlyRemoved;
  const { verdict, figures, blocks, stopped } = examined;
  const { shapes } = settings.edit;
  const effectiveness = isChanged ? effectivenessOf(newlyRemoved, figuresBefore(past), figures) : undefined;
  const record: WaveJournalRecord = {
    type: 'wave',
    wave: settings.wave,
    step: settings.step,
    target: settings.target,
    sparsity: elements === 0 ? 0 : removed / elements,
    changed: isChanged,
    layers,
    layer: { name: objectFile(proposed.sha256), sha256: proposed.sha256 },
    verdict: verdict.pass ? 'committed' : 'rolled-back',
    reason: found === undefined ? verdict.reason : `${verdict.reason}; ${found.text}`,
    terms: verdict.terms,
    figures,
    ...(!proposed.shed.isEmpty && { plates: { ...proposed.shed.toJSON() } }),
    removed: { parameters: removed, of: elements },
    ...(blocks && { blocks }),
    ...(effectiveness && { effectiveness }),
    ...(found && { selective: found.record }),
    ...(stopped && { stopped }),
    ...(shapes && { shapes }),
    ...(proposed.details && { details: proposed.details }),
    ...(proposed.limit !== undefined && { limit: true }),
  };
  const warnings = verdict.pass && newlyRemoved !== 0 ? warningsOf(past, record) : [];
  return { ...record, ...(warnings.length > 0 && { warnings }) };
}
