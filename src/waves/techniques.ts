import type { Checkpoint } from '../checkpoint/index.js';
import type { Step } from '../recipe.js';
import { type History, historyAt, type StateFolder, stateAfter, type WaveJournalRecord } from '../state/index.js';
import type { Base } from './base.js';
import { outputForm } from './output-form.js';
import { closeLayers, openLayers } from './session.js';
import { finalModel } from './stack.js';

/** What one step of a run has bought, and what it cost. */
export interface TechniqueGain {
  /** Its place in the recipe. */
  readonly step: number;
  readonly do: Step['do'];
  /** Waves that were kept, of those that were tried. */
  readonly kept: number;
  readonly tried: number;
  /** Bytes of the tensors before it and after it, each as they would be published then. */
  readonly bytes: { readonly before: number; readonly after: number };
  /** Against the dense model, after it; absent where nothing was measured. */
  readonly figures?: { readonly accuracyLoss?: number; readonly perplexityRatio?: number };
}

/**
 * Step by step what the waves of the current state have made of the model's size and figures; empty for a run of one step, and for a
 * model whose tensors stand at several waves. Reads headers alone.
 */
export async function techniqueGains(past: History, folder: StateFolder, base: Base): Promise<TechniqueGain[]> {
  const { steps } = past.begin!.recipe;
  if (steps.length < 2 || past.state.tensors.length > 0) return [];
  const gains: TechniqueGain[] = [];
  let before = bytesOf(base.model.checkpoint);
  for (const [step, { do: technique }] of steps.entries()) {
    const tried = past.waves.filter((wave) => wave.step === step && wave.changed);
    const kept = tried.filter(({ active }) => active);
    const last = kept.at(-1);
    const after = last === undefined ? before : await bytesAfter(last, past, { folder, base });
    gains.push({
      step,
      do: technique,
      kept: kept.length,
      tried: tried.length,
      bytes: { before, after },
      ...(last !== undefined && { figures: figuresOf(last) }),
    });
    before = after;
  }
  return gains;
}

async function bytesAfter(
  { wave }: WaveJournalRecord,
  past: History,
  { folder, base }: { readonly folder: StateFolder; readonly base: Base },
): Promise<number> {
  const then = historyAt(past, stateAfter(wave));
  const layers = await openLayers(folder, then);
  try {
    const model = await finalModel(base.model, layers);
    return bytesOf((await outputForm({ past: then, model, folder: base.folder })).checkpoint);
  } finally {
    await closeLayers(layers);
  }
}

function figuresOf({ figures }: WaveJournalRecord): NonNullable<TechniqueGain['figures']> {
  const { accuracyLoss, perplexityRatio } = figures;
  return {
    ...(accuracyLoss !== undefined && { accuracyLoss }),
    ...(perplexityRatio !== undefined && { perplexityRatio }),
  };
}

function bytesOf({ tensors }: Pick<Checkpoint, 'tensors'>): number {
  return [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
}
