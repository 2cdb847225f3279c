import path from 'node:path';
import { BirdboneError } from '../errors.js';
import type { Model } from '../model/index.js';
import type { Edit, EditCost } from '../pruning/index.js';
import { paceOf, type Recipe } from '../recipe.js';
import { freeBytes, historyOf, stateFolder } from '../state/index.js';
import { type Device, measureMatMul, openDevice } from '../tensor/index.js';
import { checkPlace, readableJournal } from './begin.js';
import { monitorSample } from './examine.js';
import { healingSeconds } from './healing-time.js';
import { closeInputs, type Inputs, openInputs } from './inputs.js';
import { type PlannedMemory, plannedMemory } from './plan-memory.js';
import { type AdaptiveBounds, adaptiveBounds, wavesAtBest } from './plan-waves.js';
import type { RunOptions } from './settings.js';
import { layerBytes, replacedBytes, sizesOf } from './sizes.js';

/** What a run would do, before it does anything. Bytes and seconds are estimates; what they are made of is beside them. */
export interface Plan {
  readonly recipe: Recipe;
  readonly out: string;
  readonly device: string;
  readonly model: {
    readonly architecture: string;
    readonly blocks: number;
    readonly parameters: number;
    readonly prunable: number;
  };
  readonly texts: { readonly calibrationTokens: number; readonly evaluationTokens: number };
  /** Target sparsity after each wave of each step, if none is rolled back; of an adaptive step, if none loses anything either. */
  readonly waves: readonly (readonly number[])[];
  /** Of each step that is adaptive: within which bounds its waves go; null for the others. */
  readonly adaptive: readonly (AdaptiveBounds | null)[];
  /** What decides which single weights go, of each step that removes some: a metric, or a solver. */
  readonly rankedBy: readonly (string | null)[];
  readonly memoryBytes: PlannedMemory;
  readonly diskBytes: { readonly result: number; readonly layers: number; readonly free: number };
  /** What stands in the way of the run as things are: an output that exists, an interrupted run. */
  readonly obstacle?: string;
  /** `mostSeconds`: if every step takes as many waves as it may. */
  readonly time: {
    readonly flopsPerWave: number;
    readonly flopsPerSecond: number;
    readonly seconds: number;
    readonly mostSeconds?: number;
  };
}

/** Opens everything that a run would, measures the device for a moment, and says what the run would take. Writes nothing. */
export async function planRun(options: RunOptions): Promise<Plan> {
  const inputs = await openInputs(options.recipe);
  try {
    const device = await openDevice(
      options.device ?? 'auto',
      options.threads === undefined ? {} : { threads: options.threads },
    );
    try {
      const obstacle = await obstacleOf(options);
      return { ...(await planOf(inputs, device, options)), ...(obstacle !== undefined && { obstacle }) };
    } finally {
      await device.close();
    }
  } finally {
    await closeInputs(inputs);
  }
}

/** Why `run` would not begin now, in its own words. */
async function obstacleOf({ recipe, state, resume, restart }: RunOptions): Promise<string | undefined> {
  const folder = stateFolder(recipe.out, state);
  try {
    const journal = await readableJournal(folder, { restart: restart === true, repair: false });
    const past = historyOf(journal.records);
    if (past.begin === undefined || resume !== true)
      await checkPlace(folder, past, { model: recipe.model, restart: restart === true });
    return undefined;
  } catch (error) {
    if (error instanceof BirdboneError) return error.message;
    throw error;
  }
}

async function planOf(inputs: Inputs, device: Device, options: RunOptions): Promise<Plan> {
  const { recipe, model, edits } = inputs;
  const folder = stateFolder(recipe.out, options.state);
  const waves = recipe.steps.map((step, index) => wavesAtBest(paceOf(step), edits[index]!.target));
  const adaptive = recipe.steps.map((step, index) => adaptiveBounds(paceOf(step), edits[index]!.target));
  const texts = { calibrationTokens: tokensOf(inputs.calibration), evaluationTokens: tokensOf(inputs.evaluation) };
  const size = sizesOf(model);
  const count = waves.reduce((sum, list) => sum + list.length, 0);
  const flopsPerWave = waveFlops(inputs, texts);
  const flopsPerSecond = await measureMatMul(device);
  const evaluationFlops = 2 * texts.evaluationTokens * size.multiplied;
  const planned = waves.map((list) => list.length);
  const most = planned.map((each, index) => adaptive[index]?.mostWaves ?? each);
  const secondsOf = (counts: readonly number[]) => {
    const waveCount = counts.reduce((sum, each) => sum + each, 0);
    const seconds = (evaluationFlops + waveCount * flopsPerWave) / flopsPerSecond;
    return seconds + healingSeconds(inputs, counts, flopsPerSecond);
  };
  return {
    recipe,
    out: folder.out,
    device: device.description,
    model: {
      architecture: model.decoder.architecture,
      blocks: model.decoder.blocks.length,
      parameters: size.parameters,
      prunable: size.prunable,
    },
    texts,
    waves,
    adaptive,
    rankedBy: edits.map((edit) => edit.rankedBy ?? null),
    memoryBytes: plannedMemory({
      inputs,
      device,
      costs: costsOf(edits, model, texts),
      ranksWithinRows: edits.every((edit) => edit.ranksWithinRows === true),
      ...(options.memoryBytes !== undefined && { memoryBytes: options.memoryBytes }),
    }),
    diskBytes: {
      result: size.bytes,
      layers: layerBytes(size, {
        waves: count,
        sparsity: Math.max(...edits.map(({ target }) => target)),
        replaced: replacedBytes(model, edits, planned),
      }),
      free: await freeBytes(path.dirname(folder.out)),
    },
    time: {
      flopsPerWave,
      flopsPerSecond,
      seconds: secondsOf(planned),
      ...(adaptive.some((bounds) => bounds !== null) && { mostSeconds: secondsOf(most) }),
    },
  };
}

function tokensOf(text: { readonly passages: readonly { readonly ids: Int32Array }[] } | undefined): number {
  return text?.passages.reduce((sum, passage) => sum + passage.ids.length, 0) ?? 0;
}

/**
 * Two floating-point operations a weight and token: calibration goes through each block twice, evaluation once; and where the dense
 * model runs beside the candidate, once more, and the sample of the block monitor twice.
 */
function waveFlops({ model, edits, recipe, gate, calibration, evaluation }: Inputs, texts: Plan['texts']): number {
  const { prunable, multiplied } = sizesOf(model);
  const isFull = recipe.monitor === 'full';
  const calibrates = edits.some((edit) => edit.needsCalibration);
  const sample = tokensOf({ passages: isFull ? monitorSample({ calibration, evaluation }) : [] });
  const evaluations = isFull || gate.needsBaseLogits ? 2 : 1;
  const inBlocks = (calibrates ? 2 * texts.calibrationTokens : 0) + 2 * sample;
  const solving = costsOf(edits, model, texts).reduce((most, { flops }) => Math.max(most, flops), 0);
  return solving + 2 * inBlocks * prunable + 2 * evaluations * texts.evaluationTokens * multiplied;
}

function costsOf(edits: readonly Edit[], model: Model, texts: Plan['texts']): EditCost[] {
  const all = edits.flatMap((edit) => (edit.followedBy === undefined ? [edit] : [edit, edit.followedBy]));
  return all.flatMap((edit) => edit.cost?.(model, texts.calibrationTokens) ?? []);
}
