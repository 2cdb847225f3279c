import { createManifest, type Manifest, type ManifestInput, type WeightHashes } from '../manifest/index.js';
import type { History, WaveJournalRecord } from '../state/index.js';
import type { Base } from './base.js';
import { figuresOfState, measurementOf } from './impact.js';

/**
 * The manifest of a state of a run: the hashes of its weights, and how they came to be. The same history and base make the same
 * manifest, whoever asks and wherever it is written.
 */
export function manifestOf(past: History, hashes: WeightHashes, base: Base): Manifest {
  const begin = past.begin!;
  const { wave: rest, tensors } = past.state;
  return createManifest({
    hashes,
    version: begin.version,
    architecture: base.model.decoder.architecture,
    base: {
      name: begin.base.path,
      weights: begin.base.weights,
      metadata: begin.base.metadata,
      ...(base.manifest !== undefined && { manifest: base.manifest }),
    },
    recipe: { ...begin.recipe },
    seed: begin.recipe.seed,
    versions: { ...begin.versions },
    ...measuredOf(past),
    waves: past.waves.map(({ wave, step, target, sparsity, verdict, reason, figures, active, plates, details }) => {
      const shed = plates && { plates: { ...plates } };
      const told = details && { details: detailsOf(details) };
      return { wave, step, target, sparsity, verdict, reason, figures: { ...figures }, active, ...shed, ...told };
    }),
    ...(tensors.length > 0 && { mixed: { rest, tensors: tensors.map(([name, wave]) => ({ name, wave })) } }),
  });
}

function detailsOf(details: NonNullable<WaveJournalRecord['details']>): Record<string, Record<string, unknown>[]> {
  return Object.fromEntries(Object.entries(details).map(([kind, rows]) => [kind, rows.map((row) => ({ ...row }))]));
}

/** What was measured on the gate's text, with the verdict on what is published; nothing where nobody measured this state. */
function measuredOf(past: History): Pick<ManifestInput, 'measured'> {
  const { recipe, evaluation, calibration, gate } = past.begin!;
  const result = figuresOfState(past);
  if (evaluation === undefined || past.baseline === undefined || result === null) return {};
  return {
    measured: {
      protocol: recipe.evaluation.protocol,
      context: recipe.evaluation.context,
      data: { ...evaluation },
      ...(calibration && { calibration: { ...calibration } }),
      baseline: { ...past.baseline.figures },
      result: { ...result },
      gate: { limits: gate, ...verdictOf(past) },
    },
  };
}

function verdictOf(past: History): { readonly pass: boolean; readonly reason: string } {
  const mixed = past.state.tensors.length > 0 ? measurementOf(past) : undefined;
  if (mixed !== undefined) return { pass: mixed.pass, reason: mixed.reason };
  const last = past.waves.findLast(({ active }) => active);
  return { pass: last === undefined || last.verdict === 'committed', reason: last?.reason ?? 'the dense model' };
}
