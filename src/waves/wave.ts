import type { Verdict } from '../evaluation/index.js';
import type { Model } from '../model/index.js';
import { Marks } from '../plates/index.js';
import type { Edit } from '../pruning/index.js';
import { discardLayer, objectFile, type WaveJournalRecord } from '../state/index.js';
import { ObjectStore, openStoredLayer, StoredLayerWriter } from '../store/index.js';
import { type FlatFigures, flatFigures } from './figures.js';
import { plannedTensors, removedBy, sparsityOf } from './layer-sparsity.js';
import { marksOf } from './marks.js';
import { type Baseline, measure, verdictOn } from './measure.js';
import { closeLayers, history, openLayers, type Session, stacked, type WaveLayer } from './session.js';

/** The gate's word on a wave that nothing was measured of. */
const UNGUARDED: Verdict = { pass: true, reason: 'no gate and no text to measure on', terms: [] };

/** A pattern that comes in by whole matrices may have none for a small step: the schedule goes on, and nothing is measured. */
const UNCHANGED: Verdict = { pass: true, reason: 'this step is too small to remove a weight more', terms: [] };

export interface WaveSettings {
  readonly wave: number;
  /** Index of the recipe's step. */
  readonly step: number;
  readonly target: number;
  readonly edit: Edit;
}

/**
 * One wave: the edit proposes a layer over the waves kept so far, the candidate is measured, and the journal records the
 * verdict; that record is the commit. Objects that no wave in the journal names were never kept, whatever lies on disk.
 */
export async function runWave(settings: WaveSettings, baseline: Baseline | undefined, session: Session): Promise<void> {
  const { folder, inputs, journal, report } = session;
  const past = history(session);
  const opened = await openLayers(folder, past);
  try {
    const model = stacked(inputs.model, opened);
    const plan = settings.edit.plan(model);
    const marks = marksOf(past, model);
    const { sha256, shed } = await propose(settings, { model, layers: opened, marks }, session);
    opened.push(await openStoredLayer(new ObjectStore(folder.objects), sha256));
    const candidate = stacked(inputs.model, opened);
    const tensors = await removedBy(plannedTensors(plan), opened, candidate.checkpoint);
    const sparsity = sparsityOf(tensors);
    const last = past.waves.filter((wave) => wave.active).at(-1);
    const changed = plan.values.length > 0 || sparsity !== (last?.sparsity ?? 0);
    const { verdict, figures } = changed
      ? await judgeStack(candidate, baseline, session)
      : { verdict: UNCHANGED, figures: last?.figures ?? past.baseline?.figures ?? {} };
    const record: WaveJournalRecord = {
      type: 'wave',
      wave: settings.wave,
      step: settings.step,
      target: settings.target,
      sparsity,
      changed,
      layers: tensors.map(({ name, elements, removed }) => ({ name, sparsity: removed / elements })),
      layer: { name: objectFile(sha256), sha256 },
      verdict: verdict.pass ? 'committed' : 'rolled-back',
      reason: verdict.reason,
      terms: verdict.terms,
      figures,
      ...(!shed.isEmpty && { plates: shed.toJSON() }),
    };
    await journal.append({ ...record });
    if (!verdict.pass) await discardLayer(folder, history(session), sha256);
    report({ ...record });
  } finally {
    await closeLayers(opened);
  }
}

/** What a wave is proposed over: the base through the waves kept so far, and the plates that they have shed. */
interface Before {
  readonly model: Model;
  readonly layers: readonly WaveLayer[];
  readonly marks: Marks;
}

/** Stores the wave's layer; returns the name of its object, and the plates that it sheds. */
async function propose(
  { edit, target, wave }: WaveSettings,
  { model, layers, marks }: Before,
  session: Session,
): Promise<{ readonly sha256: string; readonly shed: Marks }> {
  const { inputs, folder, device, memoryBytes, report, signal } = session;
  const before = { checkpoint: model.checkpoint, layers };
  const writer = new StoredLayerWriter(new ObjectStore(folder.objects), { wave, plan: edit.plan(model), before });
  try {
    const proposal = await edit.propose({
      model,
      device,
      target,
      calibration: inputs.calibration?.passages ?? [],
      marks,
      spared: Marks.none,
      writer,
      memoryBytes,
      spillFolder: folder.spill,
      report,
      ...(signal && { signal }),
    });
    return { sha256: (await writer.commit()).id, shed: proposal?.marks ?? Marks.none };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

async function judgeStack(
  candidate: Model,
  baseline: Baseline | undefined,
  session: Session,
): Promise<{ verdict: Verdict; figures: FlatFigures }> {
  if (baseline === undefined) return { verdict: UNGUARDED, figures: {} };
  const measured = await measure(candidate, baseline, session);
  return { verdict: verdictOn(measured, baseline, session), figures: flatFigures(measured) };
}
