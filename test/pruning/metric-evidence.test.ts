import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silent } from '../../src/events.js';
import { metrics } from '../../src/importance/index.js';
import { disposeBlock, type LoadedBlock, loadBlock, type Model, openModel } from '../../src/model/index.js';
import { calibrationStates } from '../../src/pruning/calibration-states.js';
import { inputEvidence } from '../../src/pruning/input-evidence.js';
import { scoreMatrix } from '../../src/pruning/score-matrix.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { embed, type LinearInputs, runBlock } from '../reference/forward.js';
import { LINEARS, type LinearName, loadReferenceModel, readWindows, type Weight } from '../reference/load.js';
import { INPUT_OF } from '../reference/pruning.js';
import { sharedData, sharedMissing, sharedModel } from '../shared.js';

/** Float32 sums over 1024 tokens against float64 ones: 5e-7, 2.3e-6 and 2.4e-6 when this was written. */
const TOLERANCE: Record<string, number> = { ria: 2e-6, hessian: 1e-5, flap: 1e-5 };

/** Inputs of one linear, all tokens one after the other: [tokens, columns]. */
type Inputs = readonly Float64Array[];

/** The metrics of the papers, in float64, from the inputs themselves. */
const ORACLES: Record<string, (weight: Weight, inputs: Inputs) => Float64Array> = {
  ria({ values, rows, columns }, inputs) {
    const sums = { row: new Float64Array(rows), column: new Float64Array(columns) };
    values.forEach((value, i) => {
      sums.row[Math.floor(i / columns)]! += Math.abs(value);
      sums.column[i % columns]! += Math.abs(value);
    });
    const norms = overTokens(inputs, columns, (x) => x * x).map(Math.sqrt);
    return values.map((value, i) => {
      const share = Math.abs(value) / sums.column[i % columns]! + Math.abs(value) / sums.row[Math.floor(i / columns)]!;
      return share * Math.sqrt(norms[i % columns]!);
    });
  },
  flap({ values, columns }, inputs) {
    const tokens = tokensOf(inputs, columns);
    const means = overTokens(inputs, columns, (x) => x).map((sum) => sum / tokens);
    const squares = overTokens(inputs, columns, (x, j) => (x - means[j]!) ** 2);
    return values.map((value, i) => (value * value * squares[i % columns]!) / tokens);
  },
  /** By Gauss–Jordan elimination of the whole matrix, where the product factors it. */
  hessian({ values, columns }, inputs) {
    const tokens = tokensOf(inputs, columns);
    const hessian = Array.from({ length: columns }, () => new Float64Array(columns));
    for (const x of inputs) {
      for (let at = 0; at < x.length; at += columns) {
        for (let i = 0; i < columns; i++) {
          for (let j = 0; j < columns; j++) hessian[i]![j]! += (2 * x[at + i]! * x[at + j]!) / tokens;
        }
      }
    }
    const mean = hessian.reduce((sum, row, i) => sum + row[i]!, 0) / columns;
    hessian.forEach((row, i) => {
      row[i]! += 0.01 * mean;
    });
    const inverse = inverted(hessian);
    return values.map((value, i) => value ** 2 / (2 * inverse[i % columns]![i % columns]!));
  },
};

function tokensOf(inputs: Inputs, columns: number): number {
  return inputs.reduce((sum, x) => sum + x.length, 0) / columns;
}

function overTokens(inputs: Inputs, columns: number, term: (x: number, column: number) => number): Float64Array {
  const sums = new Float64Array(columns);
  for (const x of inputs) {
    x.forEach((value, i) => {
      sums[i % columns]! += term(value, i % columns);
    });
  }
  return sums;
}

function inverted(matrix: readonly Float64Array[]): Float64Array[] {
  const size = matrix.length;
  const rows = matrix.map((row, i) =>
    Float64Array.from({ length: 2 * size }, (_, j) => row[j] ?? (j - size === i ? 1 : 0)),
  );
  for (let pivot = 0; pivot < size; pivot++) {
    // Symmetric and positive definite: no pivot is too small.
    const scale = rows[pivot]![pivot]!;
    rows[pivot] = rows[pivot]!.map((value) => value / scale);
    for (let row = 0; row < size; row++) {
      const factor = rows[row]![pivot]!;
      if (row === pivot || factor === 0) continue;
      for (let j = 0; j < 2 * size; j++) rows[row]![j]! -= factor * rows[pivot]![j]!;
    }
  }
  return rows.map((row) => row.slice(size));
}

describe.skipIf(sharedMissing)(`metrics of a real block${sharedMissing ? `: ${sharedMissing}` : ''}`, () => {
  let device: Device;
  let model: Model;
  let block: LoadedBlock;
  let windows: Int32Array[];
  let inputs: Record<keyof LinearInputs, Float64Array[]>;
  let weights: Readonly<Record<LinearName, Weight>>;
  beforeAll(async () => {
    const folder = sharedModel('tinystories-656k');
    device = await openDevice('cpu');
    model = await openModel(folder);
    block = await loadBlock(model, 0, device);
    windows = readWindows(folder, sharedData('tinystories-1000', 'eval.txt'), 256, 4);
    const reference = loadReferenceModel(folder);
    weights = reference.blocks[0]!.linears;
    inputs = { attention: [], output: [], ffn: [], down: [] };
    for (const ids of windows) {
      const found = runBlock(reference, reference.blocks[0]!, embed(reference, ids));
      for (const name of ['attention', 'output', 'ffn', 'down'] as const) inputs[name].push(found[name]);
    }
  });
  afterAll(async () => {
    disposeBlock(block);
    await model.checkpoint.close();
    await device.close();
  });

  it.each(Object.keys(ORACLES))('%s, each weight as a float64 loop has it', async (name) => {
    const metric = await metrics.load(name);
    const calibration = windows.map((ids) => ({ ids }));
    const states = await calibrationStates({ model, device, calibration, memoryBytes: 2 ** 30, spillFolder: tmpdir() });
    const evidence = await inputEvidence(metric.needs, block, states, { device, report: silent });
    for (const role of LINEARS) {
      const spec = block.spec.linears.find((linear) => linear.role === role)!;
      // One matrix for each of the four inputs; elimination takes its time.
      if (name === 'hessian' && !['q', 'o', 'gate'].includes(role)) continue;
      const { weight } = block.linears.get(spec.weight)!;
      const operands = { weight, evidence: { columns: evidence.get(spec.input) } };
      const { values } = await scoreMatrix(metric, spec, operands, device);
      const exact = ORACLES[name]!(weights[role], inputs[INPUT_OF[role]]);
      const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(value - exact[i]!) / (exact[i] || 1)), 0);
      expect(values).toHaveLength(exact.length);
      expect(worst, role).toBeLessThan(TOLERANCE[name]!);
    }
    await states.close();
  });
});
