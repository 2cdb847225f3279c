import { overlay } from '../checkpoint/index.js';
import { type ImportanceMetric, needsText } from '../importance/index.js';
import {
  disposeBlock,
  type HiddenStates,
  type LinearSpec,
  type LoadedBlock,
  loadBlock,
  withCheckpoint,
} from '../model/index.js';
import { goOn } from '../pause.js';
import type { Solver } from '../solvers/index.js';
import { fullMask, type Mask } from '../sparsity/index.js';
import type { Device } from '../tensor/index.js';
import { BlockChanges } from './block-changes.js';
import { advanceStates, calibrationStates } from './calibration-states.js';
import type { EditContext } from './edit.js';
import { type GradientEvidence, gradientEvidence } from './gradient-evidence.js';
import { inputEvidence, readsInputs } from './input-evidence.js';
import { maskScores } from './mask-scores.js';
import { prunableLinears, type Removals } from './plan-masks.js';
import { type ScoreSlices, slicesOfMatrix, slicesOfStored } from './score-matrix.js';
import { type GramSolver, solveBlock } from './solve-block.js';

export interface BlockRules {
  readonly metric: ImportanceMetric;
  readonly solver: Solver;
  readonly removals: Removals;
}

/** Whether block after block is pruned by what a text shows of it. */
export function usesText({ metric, solver }: Pick<BlockRules, 'metric' | 'solver'>): boolean {
  return solver.kind !== 'mask-only' || needsText(metric);
}

/**
 * Prunes block after block. Metrics and solvers that need activations get them from the block as it is, on inputs that come
 * from the blocks before it as they now are; then the block runs once more, pruned, for the next one (Sun et al. 2023, and
 * SparseGPT before it). One block's weights are resident.
 */
export async function pruneBlockByBlock(rules: BlockRules, context: EditContext): Promise<void> {
  const { model, report, signal } = context;
  const gradients = await gradientEvidence(rules.metric.needs, context);
  const readsStates = rules.solver.kind !== 'mask-only' || readsInputs(rules.metric.needs);
  const states = readsStates ? await calibrationStates(context) : undefined;
  const total = model.decoder.blocks.length;
  try {
    for (let index = 0; index < total; index++) {
      await goOn(signal);
      await pruneBlock(rules, { index, states, gradients }, context);
      report({ type: 'progress', stage: 'prune', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states?.close();
    await gradients?.close();
  }
}

interface BlockInputs {
  readonly index: number;
  /** Absent where nothing is read from the inputs of the block's linears. */
  readonly states: HiddenStates | undefined;
  readonly gradients: GradientEvidence | undefined;
}

async function pruneBlock(
  rules: BlockRules,
  { index, states, gradients }: BlockInputs,
  context: EditContext,
): Promise<void> {
  const { model, device, writer } = context;
  const linears = prunableLinears(model, index);
  const changes = new BlockChanges(writer);
  if (states === undefined) {
    const { checkpoint } = model;
    const score = async (spec: LinearSpec) => {
      const evidence = { weights: await gradients?.of(spec.weight) };
      return slicesOfStored(rules.metric, spec, { checkpoint, evidence }, device);
    };
    const masks = await chooseMasks(rules.removals, linears, score, device);
    for (const [spec, mask] of masks) await changes.writeMask(spec, mask);
    return;
  }
  const block = await loadBlock(model, index, device);
  try {
    const { solver } = rules;
    const masks =
      solver.kind === 'prunes' ? new Map() : await masksByEvidence(rules, { block, states, gradients }, context);
    if (solver.kind === 'mask-only') for (const [spec, mask] of masks) await changes.writeMask(spec, mask);
    else await solve(solver, { ...rules, block, states, linears, masks, changes }, context);
  } finally {
    disposeBlock(block);
  }
  if (index + 1 < model.decoder.blocks.length)
    await advanceStates(withCheckpoint(model, overlay(model.checkpoint, [changes.layer()])), index, states, context);
}

function solve(
  solver: GramSolver,
  work: {
    readonly removals: Removals;
    readonly block: LoadedBlock;
    readonly states: HiddenStates;
    readonly linears: readonly LinearSpec[];
    readonly masks: ReadonlyMap<LinearSpec, Mask>;
    readonly changes: BlockChanges;
  },
  context: EditContext,
): Promise<void> {
  const masks = new Map([...work.masks].map(([{ weight }, mask]) => [weight, mask]));
  return solveBlock({ ...work, solver, masks }, context);
}

async function masksByEvidence(
  { metric, removals }: BlockRules,
  work: {
    readonly block: LoadedBlock;
    readonly states: HiddenStates;
    readonly gradients: GradientEvidence | undefined;
  },
  context: EditContext,
): Promise<ReadonlyMap<LinearSpec, Mask>> {
  const { block, states, gradients } = work;
  const inputs = await inputEvidence(metric.needs, block, states, context);
  const score = async (spec: LinearSpec) => {
    const evidence = { columns: inputs.get(spec.input), weights: await gradients?.of(spec.weight) };
    const { weight } = block.linears.get(spec.weight)!;
    return slicesOfMatrix(metric, spec, { weight, evidence }, context.device);
  };
  return chooseMasks(removals, prunableLinears(context.model, block.spec.index), score, context.device);
}

/** The masks of a block's linears by their scores; a matrix that nothing is removed from keeps all. */
async function chooseMasks(
  removals: Removals,
  linears: readonly LinearSpec[],
  score: (spec: LinearSpec) => Promise<ScoreSlices>,
  device: Device,
): Promise<ReadonlyMap<LinearSpec, Mask>> {
  const masks = new Map<LinearSpec, Mask>();
  for (const spec of linears) {
    const removal = removals(spec.weight);
    const { rows, columns } = spec;
    const mask = removal === undefined ? fullMask(rows, columns) : maskScores(removal, spec, await score(spec), device);
    masks.set(spec, await mask);
  }
  return masks;
}
