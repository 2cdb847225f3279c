import type { Tensor2D } from '@tensorflow/tfjs-core';
import { readFloats } from '../checkpoint/index.js';
import { stopIfAborted } from '../errors.js';
import { collectEvidence } from '../evidence/index.js';
import {
  applyNorm,
  disposeBlock,
  disposeNorm,
  type HiddenStates,
  loadBlock,
  loadFinalNorm,
  type Model,
  realPositions,
} from '../model/index.js';
import { Marks, type PlateGraph, Protections, protectOutliers, ResidualSquares } from '../plates/index.js';
import { readWeight } from '../shedding/index.js';
import { calibrationStates } from './calibration-states.js';
import type { EditContext } from './edit.js';

/** What the dimensions of a residual stream are good for. */
export interface DimensionSurvey {
  /** For each dimension the part of its readers' energy that comes through it, summed over the readers. */
  readonly importance: Float64Array;
  /** Outliers that are not released. */
  readonly stay: Marks;
}

/**
 * What everything that reads the residual stream reads through each dimension, over the calibration text, and which dimensions stand
 * out of it. One block is resident.
 */
export async function surveyDimensions(
  graph: PlateGraph,
  aggressiveness: number,
  context: EditContext,
): Promise<DimensionSurvey> {
  const { model, report, signal } = context;
  const { hidden, blocks } = graph.decoder;
  const importance = new Float64Array(hidden);
  let stay = Marks.none;
  const states = await calibrationStates(context);
  try {
    for (const { index } of blocks) {
      stopIfAborted(signal);
      stay = stay.with(outliersBefore(index, await squaresOf(states, hidden)).at(aggressiveness));
      await addBlock(importance, index, states, context);
      report({ type: 'progress', stage: 'survey', done: index + 1, total: blocks.length, unit: 'blocks' });
    }
    await addHead(importance, model, states, context);
  } finally {
    await states.close();
  }
  return { importance, stay };
}

async function squaresOf(states: HiddenStates, hidden: number): Promise<ResidualSquares> {
  const squares = new ResidualSquares(hidden);
  for (const [i, batch] of states.batches.entries()) squares.add(await states.load(i), batch);
  return squares;
}

function outliersBefore(block: number, squares: ResidualSquares): Protections {
  const { norms, firstTokenShares } = squares.finish();
  const range = { kind: 'hidden' as const, start: 0, count: norms.length };
  return new Protections(
    protectOutliers({ range, norms, firstTokenShares, where: `the residual stream before block ${block}` }),
  );
}

/** Adds what a block's linears read through each dimension, and moves the states behind it. */
async function addBlock(importance: Float64Array, index: number, states: HiddenStates, context: EditContext) {
  const { model, device, signal } = context;
  const readers = model.decoder.blocks[index]!.linears.filter(({ role }) => role !== 'o' && role !== 'down');
  const inputs = new Set(readers.map(({ input }) => input));
  const block = await loadBlock(model, index, device);
  try {
    const evidence = await collectEvidence(block, states, new Set(['norms']), {
      device,
      inputs,
      store: true,
      ...(signal && { signal }),
    });
    try {
      for (const linear of readers) {
        const norms = (await device.read(evidence.normsOf(linear.input))) as Float32Array;
        const { values, rows, columns } = await readWeight(model.checkpoint, linear);
        addShares(
          importance,
          norms.map((norm) => norm ** 2),
          { values, rows, columns },
        );
      }
    } finally {
      evidence.dispose();
    }
  } finally {
    disposeBlock(block);
  }
}

/** Rows of the head that are read at once. */
const HEAD_ROWS = 4096;

async function addHead(
  importance: Float64Array,
  model: Model,
  states: HiddenStates,
  { device }: EditContext,
): Promise<void> {
  const { hidden, vocabulary, head } = model.decoder;
  const squares = await normedSquares(model, states, device);
  const columns = new Float64Array(hidden);
  for (let start = 0; start < vocabulary; start += HEAD_ROWS) {
    const count = Math.min(HEAD_ROWS, vocabulary - start);
    const values = await readFloats(model.checkpoint, head, { start, count });
    for (let i = 0; i < values.length; i += 1) columns[i % hidden]! += values[i]! ** 2;
  }
  addNormalised(
    importance,
    columns.map((square, j) => square * squares[j]!),
  );
}

/** Σ x_j² over the real tokens behind the final norm. */
async function normedSquares(model: Model, states: HiddenStates, device: EditContext['device']): Promise<Float64Array> {
  const { hidden } = model.decoder;
  const squares = new Float64Array(hidden);
  const norm = await loadFinalNorm(model, device);
  try {
    for (const [i, batch] of states.batches.entries()) {
      const values = await states.load(i);
      const rows = values.length / hidden;
      const input = device.upload(values, [rows, hidden]) as Tensor2D;
      const normed = applyNorm(norm, input);
      input.dispose();
      try {
        const found = (await device.read(normed)) as Float32Array;
        for (const row of realPositions(batch))
          for (let j = 0; j < hidden; j += 1) squares[j]! += found[row * hidden + j]! ** 2;
      } finally {
        normed.dispose();
      }
    }
  } finally {
    disposeNorm(norm);
  }
  return squares;
}

function addShares(
  importance: Float64Array,
  squares: ArrayLike<number>,
  { values, rows, columns }: { readonly values: Float32Array; readonly rows: number; readonly columns: number },
): void {
  const energy = new Float64Array(columns);
  for (let row = 0; row < rows; row += 1) {
    for (let j = 0; j < columns; j += 1) energy[j]! += values[row * columns + j]! ** 2 * squares[j]!;
  }
  addNormalised(importance, energy);
}

/** Every reader counts as much as every other. */
function addNormalised(importance: Float64Array, energy: Float64Array): void {
  const total = energy.reduce((sum, value) => sum + value, 0);
  if (total > 0) for (let j = 0; j < energy.length; j += 1) importance[j]! += energy[j]! / total;
}
