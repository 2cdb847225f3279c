import { rm } from 'node:fs/promises';
import type { Checkpoint } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { parseGate } from '../evaluation/index.js';
import { silent } from '../events.js';
import { type AdapterPlan, adapterNames, adapterTensors, type Correction, withAdapter } from '../factorizing/index.js';
import { checkChoices, type HealChoices, type Healing, healModel, trainer } from '../healing/index.js';
import { DEFAULT_MEMORY_BYTES } from '../model/index.js';
import type { Edit } from '../pruning/index.js';
import { lock, progressPlace, stateFolder } from '../state/index.js';
import { encodeFromF32 } from '../tensor/index.js';
import { beginOrResume } from './begin.js';
import { decisionsOf } from './decisions.js';
import type { RunOptions } from './settings.js';
import {
  type AdapterOptions,
  type AdapterResult,
  type OpenedForAdapter,
  type PreparedFactors,
  writeAdapter,
} from './write-adapter.js';

export interface HealAdapterOptions
  extends Omit<AdapterOptions, 'prepare'>,
    Pick<RunOptions, 'state' | 'resume' | 'restart'> {
  readonly choices: HealChoices & { readonly rank: number };
}

/** What a run is for that changes no weight: what is learnt lies beside them. */
const NO_CHANGE: Edit = {
  needsCalibration: true,
  target: 1,
  goesBy: 'itself',
  plan: () => ({ masks: [], values: [] }),
  propose: async () => {},
};

/** Its training is the first and only wave of a run that publishes no model. */
const WAVE = 1;

/**
 * Trains a PEFT adapter that brings a compressed model (`recipe.model`) nearer to what it was (`base`), beside its weights, which stay as
 * they are stored; writes it whole or not at all, and measures all three. While it trains, journal and progress lie in the output's state
 * folder, so that `resume` goes on after an interruption and ends in the same bytes; they go when the adapter is there. Throws
 * `gate-failed`, with nothing written, where the model is no nearer to its base.
 */
export async function healAdapter(options: HealAdapterOptions): Promise<AdapterResult> {
  const { choices, ...rest } = options;
  checkChoices(choices);
  const { root } = stateFolder(options.recipe.out, options.state);
  try {
    const result = await writeAdapter({ ...rest, prepare: (opened) => prepare(opened, options) });
    await rm(root, { recursive: true, force: true });
    return result;
  } catch (error) {
    // Trained to its end, and in vain: to go on would end the same.
    if (error instanceof BirdboneError && error.code === 'gate-failed')
      await rm(root, { recursive: true, force: true });
    throw error;
  }
}

async function prepare(opened: OpenedForAdapter, options: HealAdapterOptions): Promise<PreparedFactors> {
  const { recipe, memoryBytes = DEFAULT_MEMORY_BYTES, report = silent, signal } = options;
  const { model, before, texts, device } = opened;
  const folder = stateFolder(recipe.out, options.state);
  const release = await lock(folder.root);
  try {
    const gate = parseGate(`accuracy<${100 * recipe.maxDrop}%`);
    const inputs = { recipe, model, reference: before, edits: [NO_CHANGE], gate, notices: [], ...texts };
    const { journal } = await beginOrResume(folder, inputs, device, options);
    const order = { choices: options.choices, masked: false, clock: () => performance.now() };
    const healing = await healModel(order, {
      ...{ model, dense: before, device, memoryBytes, report, seed: recipe.seed },
      calibration: texts.calibration?.passages ?? [],
      spillFolder: folder.spill,
      progress: await progressPlace(folder, WAVE),
      decide: decisionsOf({ journal }, WAVE),
      ...(signal && { signal }),
    });
    return await factorsOf(healing, opened);
  } finally {
    await release();
  }
}

/** The factors of every linear as they are stored; those that learnt nothing are 0. Says what they come to on the text held out. */
async function factorsOf(healing: Healing, opened: OpenedForAdapter): Promise<PreparedFactors> {
  const { settings, trained } = healing;
  const { model, plan } = opened;
  const { state } = trained;
  const made = plan.linears.map((spec) => {
    const [rank, dtype] = [plan.rankOf(spec), plan.dtypeOf(spec)];
    const found = state && trainer.factors(spec, state, settings);
    const left = found?.left ?? new Float32Array(spec.rows * rank);
    const right = found?.right ?? new Float32Array(rank * spec.columns);
    return { spec, rank, left: encodeFromF32(left, dtype), right: encodeFromF32(right, dtype) };
  });
  const { after, nearer } = await healing.judge(await withAdapter(model, inMemory(plan, made)));
  return {
    healing: healing.recordOf({ after, applied: nearer }),
    async each(use) {
      for (const factors of made) await use(factors);
    },
  };
}

/** An adapter that is not in a file yet, as one that is. */
function inMemory(plan: AdapterPlan, made: readonly Omit<Correction, 'remaining'>[]): Checkpoint {
  const bytes = new Map(
    made.flatMap(({ spec: { weight }, left, right }) => {
      const names = adapterNames(weight);
      return [[names.left, left] as const, [names.right, right] as const];
    }),
  );
  return {
    path: 'the adapter in memory',
    format: 'safetensors',
    tensors: new Map(adapterTensors(plan).map((info) => [info.name, info])),
    aliases: new Map(),
    metadata: {},
    async read(name, { offset, length } = { offset: 0, length: bytes.get(name)!.length }) {
      return bytes.get(name)!.slice(offset, offset + length);
    },
    close: async () => {},
  };
}
