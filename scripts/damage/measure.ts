import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { memoryLayer, overlay } from '../../src/checkpoint/index.js';
import { readCalibration } from '../../src/corpus/index.js';
import { assessDamage } from '../../src/damage/index.js';
import { blockErrors } from '../../src/evaluation/index.js';
import { loadTokenizer, type Model, withCheckpoint } from '../../src/model/index.js';
import { parseRecipe } from '../../src/recipe.js';
import { Journal, stateFolder, type WaveJournalRecord } from '../../src/state/index.js';
import { openDevice } from '../../src/tensor/index.js';
import { openState, run } from '../../src/waves/index.js';
import { maskOfZeros } from './zeros.js';

/** One wave of a run: what was removed, what it came to, and what had been foretold. */
export interface MeasuredWave {
  readonly sparsity: number;
  /** Of the last block's output. */
  readonly error: number;
  readonly perplexityRatio: number;
  readonly kl: number;
  /** Of each block, and of the divergence, where something was known. */
  readonly foretold?: WaveJournalRecord['foretold'];
}

/** A block's error carried to the output: as estimated in the whole compressed model, and as measured with only this block compressed. */
export interface Carried {
  readonly block: number;
  readonly estimated: number;
  readonly measured: number;
}

export interface MeasuredRun {
  readonly model: string;
  readonly metric: string;
  readonly waves: readonly MeasuredWave[];
  /** At the wave nearest to a half. */
  readonly carried: { readonly sparsity: number; readonly blocks: readonly Carried[] };
}

export interface MeasureOptions {
  readonly model: string;
  readonly calibration: string;
  readonly evaluation: string;
  readonly metric: string;
}

const WAVES = 8;
const TARGET = 0.8;
const TEXT = { windows: 16, context: 128 } as const;
const PASSAGES = 8;

/** Prunes in equal steps without a gate, and reads from the journal what came of each wave. */
export async function measure(options: MeasureOptions): Promise<MeasuredRun> {
  const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-damage-'));
  try {
    const out = path.join(folder, 'out');
    const recipe = parseRecipe(
      {
        recipe: 1,
        model: path.resolve(options.model),
        out,
        calibration: { file: path.resolve(options.calibration), ...TEXT },
        evaluation: { file: path.resolve(options.evaluation), context: TEXT.context, limit: 32 },
        maxDrop: 1,
        steps: [
          { do: 'prune', sparsity: TARGET, waves: WAVES, schedule: 'linear', metric: options.metric, minStep: 0.01 },
        ],
      },
      'the measurement',
    );
    await run({ recipe, device: 'cpu', diffs: path.join(folder, 'diffs') });
    const { records } = await Journal.open(stateFolder(out).journal, { repair: false });
    const waves = (records.filter(({ type }) => type === 'wave') as unknown as WaveJournalRecord[]).map(measuredWave);
    const half = waves.reduce(
      (best, { sparsity }, i) => (Math.abs(sparsity - 0.5) < Math.abs(waves[best]!.sparsity - 0.5) ? i : best),
      0,
    );
    return {
      model: path.basename(options.model),
      metric: options.metric,
      waves,
      carried: { sparsity: waves[half]!.sparsity, blocks: await carried(`${out}@${half + 1}`, options) },
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

function measuredWave({ sparsity, blocks, figures, foretold }: WaveJournalRecord): MeasuredWave {
  return {
    sparsity,
    error: blocks!.errors.at(-1)!,
    perplexityRatio: figures['perplexityRatio']!,
    kl: figures['kl']!,
    ...(foretold && { foretold }),
  };
}

/** Each block's error at the output, estimated and really carried there by dense blocks. */
async function carried(state: string, { model, calibration }: MeasureOptions): Promise<Carried[]> {
  const { checkpoint, origin } = await openState(state);
  const device = await openDevice('cpu');
  try {
    const base = origin!.base.model;
    const text = { windows: PASSAGES, context: TEXT.context, maxContext: base.decoder.maxContext };
    const { passages } = await readCalibration(calibration, await loadTokenizer(model), text);
    const now = withCheckpoint(base, checkpoint);
    const damage = await assessDamage(base, now, passages, { device });
    const found: Carried[] = [];
    for (const { block, atOutput } of damage.blocks) {
      const errors = await blockErrors(base, await onlyBlock(base, now, block), passages, { device });
      found.push({ block, estimated: atOutput, measured: errors.at(-1)! });
    }
    return found;
  } finally {
    await device.close();
    await checkpoint.close();
  }
}

/** The dense model with the zeros that the compressed one has in this block. */
async function onlyBlock(base: Model, now: Model, block: number): Promise<Model> {
  const masks = new Map<string, Uint8Array>();
  for (const { weight } of base.decoder.blocks[block]!.linears)
    masks.set(weight, await maskOfZeros(now.checkpoint, weight));
  return withCheckpoint(base, overlay(base.checkpoint, [memoryLayer(masks)]));
}

/** The runs that were measured so far. */
export async function readRuns(file: URL): Promise<MeasuredRun[]> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as MeasuredRun[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
