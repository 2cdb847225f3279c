import { rm } from 'node:fs/promises';
import path from 'node:path';
import { createLayer, type Layer, openLayer } from '../checkpoint/index.js';
import { judge, type Verdict } from '../evaluation/index.js';
import type { Edit, LinearSparsity } from '../pruning/index.js';
import { layerFile, type WaveJournalRecord } from '../state/index.js';
import { flatFigures } from './figures.js';
import { type Baseline, type Measurement, measure } from './measure.js';
import { closeLayers, history, openLayers, type Session, stacked } from './session.js';

/** The gate's word on a wave that nothing was measured of. */
const UNGUARDED: Verdict = { pass: true, reason: 'no gate and no text to measure on', terms: [] };

export interface WaveSettings {
  readonly wave: number;
  /** Index of the recipe's step. */
  readonly step: number;
  readonly target: number;
  readonly edit: Edit;
}

/**
 * One wave: the edit proposes a layer over the waves kept so far, the candidate is measured, and the journal records the
 * verdict; that record is the commit. A layer whose wave is not in the journal was never kept, whatever lies on disk.
 */
export async function runWave(settings: WaveSettings, baseline: Baseline | undefined, session: Session): Promise<void> {
  const { folder, inputs, journal, report } = session;
  const kept = await openLayers(folder, history(session));
  const file = path.join(folder.layers, layerFile(settings.wave));
  const opened: Layer[] = [...kept];
  try {
    const { linears, sha256 } = await propose(settings, kept, session);
    const proposed = await openLayer(file);
    opened.push(proposed);
    const measured = baseline && (await measure(stacked(inputs.model, opened), baseline, session));
    const verdict = measured === undefined ? UNGUARDED : decide(measured, baseline!, session);
    const record: WaveJournalRecord = {
      type: 'wave',
      wave: settings.wave,
      step: settings.step,
      target: settings.target,
      sparsity: sparsityOf(linears),
      layers: linears.map(({ name, elements, removed }) => ({ name, sparsity: removed / elements })),
      layer: { name: layerFile(settings.wave), sha256 },
      verdict: verdict.pass ? 'committed' : 'rolled-back',
      reason: verdict.reason,
      terms: verdict.terms,
      figures: measured === undefined ? {} : flatFigures(measured),
    };
    await journal.append({ ...record });
    if (!verdict.pass) await rm(file, { force: true });
    report({ ...record });
  } finally {
    await closeLayers(opened);
  }
}

async function propose(
  { edit, target, wave }: WaveSettings,
  kept: readonly Layer[],
  session: Session,
): Promise<{ linears: readonly LinearSparsity[]; sha256: string }> {
  const { inputs, folder, device, memoryBytes, report, signal } = session;
  const model = stacked(inputs.model, kept);
  const writer = await createLayer(path.join(folder.layers, layerFile(wave)), edit.plan(model), {});
  try {
    const { linears } = await edit.propose({
      model,
      device,
      target,
      calibration: inputs.calibration?.passages ?? [],
      writer,
      memoryBytes,
      spillFolder: folder.spill,
      report,
      ...(signal && { signal }),
    });
    return { linears, ...(await writer.commit()) };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

function decide(measured: Measurement, baseline: Baseline, session: Session): Verdict {
  const { gate, recipe } = session.inputs;
  return judge(gate, {
    base: baseline.figures,
    now: measured.figures,
    comparison: measured.comparison,
    confident: recipe.gateConfident,
  });
}

function sparsityOf(linears: readonly LinearSparsity[]): number {
  let elements = 0;
  let removed = 0;
  for (const linear of linears) {
    elements += linear.elements;
    removed += linear.removed;
  }
  return elements === 0 ? 0 : removed / elements;
}
