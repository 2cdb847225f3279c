import type { Model } from '../model/index.js';
import { Marks } from '../plates/index.js';
import type { Edit, SettleContext } from '../pruning/index.js';
import { discardLayer, type History, objectFile, type WaveJournalRecord } from '../state/index.js';
import { ObjectStore, openStoredLayer, StoredLayerWriter } from '../store/index.js';
import { effectivenessOf } from './effectiveness.js';
import { stoppedError } from './emergency-stop.js';
import { type Examination, examine } from './examine.js';
import { sparsityAfter, sparsityKept, type WaveSparsity } from './layer-sparsity.js';
import { cacheScales } from './layout-extras.js';
import { marksOf, sparedOf } from './marks.js';
import type { Baseline } from './measure.js';
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
  const opened = await openLayers(folder, past);
  try {
    const kept = await keptModel(settings.edit, inputs.model, opened);
    const { edit, proposed } = await propose(settings, { model: kept, layers: opened, past }, session);
    const { shapes } = settings.edit;
    const layer = await openStoredLayer(new ObjectStore(folder.objects), proposed.sha256);
    const layers: StackableLayer[] = [
      ...opened,
      { ...layer, ...(shapes && { shapes }), ...cacheScales(proposed.details) },
    ];
    const candidate = await stacked(inputs.model, layers);
    const plan = edit.plan(kept);
    const sparsity =
      shapes === 'final'
        ? sparsityKept(plan, past)
        : await sparsityAfter(plan, past, { layers, seen: candidate.checkpoint });
    const isChanged = plan.values.length > 0 || sparsity.newlyRemoved !== 0 || !proposed.shed.isEmpty;
    const examined = await examination({ proposed, isChanged, past, candidate }, baseline, session);
    const found =
      baseline !== undefined && isToBeSearched(examined, proposed) && isRepairable(past, settings, proposed.shed)
        ? await findCulpritPlates({ kept, layers: opened, shed: proposed.shed }, baseline, session)
        : undefined;
    const record = recordOf({ settings, past, proposed, sparsity, isChanged, examined, found });
    await journal.append({ ...record });
    await conclude(record, session);
  } finally {
    await closeLayers(opened);
  }
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
async function conclude(record: WaveJournalRecord, session: Session): Promise<void> {
  const { folder, report, inputs } = session;
  if (record.verdict === 'rolled-back') await discardLayer(folder, history(session), record.layer.sha256);
  report({ ...record });
  for (const { reason } of record.warnings ?? []) {
    report({ type: 'notice', message: `Wave ${record.wave}: ${reason}. The next step is half as large.` });
  }
  if (record.stopped !== undefined) throw stoppedError(record, inputs.recipe.out);
}

/** A layer in the store, not yet kept. */
interface Proposed {
  /** The name of its object. */
  readonly sha256: string;
  readonly shed: Marks;
  readonly details: WaveJournalRecord['details'];
  /** Why it falls short of what it was to do. */
  readonly limit: string | undefined;
}

/** What a wave is proposed over: the base through the waves kept so far. */
interface Before {
  readonly model: StackedModel;
  readonly layers: readonly WaveLayer[];
  readonly past: History;
}

/** The edit's layer over what was kept before, and the edit as it was settled for it. */
async function propose(
  settings: WaveSettings,
  { model, layers, past }: Before,
  session: Session,
): Promise<{ readonly edit: Edit; readonly proposed: Proposed }> {
  const { inputs, folder, device, memoryBytes, report, signal } = session;
  // Plates that are cut out are none of the model's any more.
  const isSmaller = settings.edit.shapes === 'final' && isCut(layers);
  const context: SettleContext = {
    model,
    ...(!isSmaller && { dense: inputs.model }),
    seed: inputs.recipe.seed,
    device,
    target: settings.target,
    calibration: inputs.calibration?.passages ?? [],
    ...(inputs.evaluation && { evaluation: inputs.evaluation.passages }),
    marks: isSmaller ? Marks.none : marksOf(past, model),
    spared: isSmaller ? Marks.none : sparedOf(past, model),
    memoryBytes,
    spillFolder: folder.spill,
    report,
    ...(signal && { signal }),
  };
  const edit = (await settings.edit.settle?.(context)) ?? settings.edit;
  const over = isSmaller ? layers.filter(({ shapes }) => shapes === 'final') : layers;
  const before = { checkpoint: model.checkpoint.raw, layers: over };
  const layer = { wave: settings.wave, plan: edit.plan(model), before };
  const writer = new StoredLayerWriter(new ObjectStore(folder.objects), layer);
  try {
    const { marks: shed = Marks.none, details, limit } = (await edit.propose({ ...context, writer })) ?? {};
    return { edit, proposed: { sha256: (await writer.commit()).id, shed, details, limit } };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

interface Examinable {
  readonly proposed: Proposed;
  readonly isChanged: boolean;
  readonly past: History;
  readonly candidate: Model;
}

/** What is known of a candidate: measured, unless there is nothing to measure. */
async function examination(
  { proposed, isChanged, past, candidate }: Examinable,
  baseline: Baseline | undefined,
  session: Session,
): Promise<Examination> {
  if (isChanged && proposed.limit === undefined) return examine(candidate, baseline, session);
  const last = past.waves.findLast(({ active }) => active);
  const figures = last?.figures ?? past.baseline?.figures ?? {};
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
  const { elements, removed, newlyRemoved, layers } = done.sparsity;
  const { verdict, figures, blocks, stopped } = examined;
  const { shapes } = settings.edit;
  const before = past.waves.findLast(({ active }) => active)?.figures ?? past.baseline?.figures ?? {};
  const effectiveness = isChanged ? effectivenessOf(newlyRemoved, before, figures) : undefined;
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
