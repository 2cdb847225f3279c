import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { metrics } from '../../src/importance/index.js';
import { disposeBlock, loadBlock, type Model, openModel } from '../../src/model/index.js';
import { calibrationStates } from '../../src/pruning/calibration-states.js';
import { inputEvidence } from '../../src/pruning/input-evidence.js';
import { scoreMatrix } from '../../src/pruning/score-matrix.js';
import { maskToBytes } from '../../src/sparsity/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { sharedData, sharedMissing, sharedModel } from '../shared.js';
import { loadReferenceModel, readWindows } from './load.js';
import { pruneOurs } from './our-pruning.js';
import type { Method } from './pruning.js';
import { type PrunedBlock, pruneReference } from './reference.js';

const folder = sharedMissing ? '' : sharedModel('tinystories-656k');
/** f32 sums over thousands of tokens against f64 ones: scores nearer than this may change places. */
const SAME_SCORE = 1e-5;

const near = (a: number, b: number) => Math.abs(a - b) <= SAME_SCORE * Math.max(a, b);
const sameRow = (i: number, j: number, columns: number) => Math.floor(i / columns) === Math.floor(j / columns);

describe.skipIf(sharedMissing)(`pruning against the reference${sharedMissing ? `: ${sharedMissing}` : ''}`, () => {
  let device: Device;
  let model: Model;
  let windows: Int32Array[];
  beforeAll(async () => {
    device = await openDevice('cpu');
    model = await openModel(folder);
    windows = readWindows(folder, sharedData('tinystories-1000', 'eval.txt'), 256, 8);
  });
  afterAll(async () => {
    await model.checkpoint.close();
    await device.close();
  });

  async function reference(method: Method, pattern: string, blocks?: number): Promise<PrunedBlock[]> {
    const pruned: PrunedBlock[] = [];
    const onBlock = (_: number, block: PrunedBlock) => pruned.push(block);
    const settings = { method, pattern, windows, threads: 0, onBlock, ...(blocks && { blocks }) };
    await pruneReference(loadReferenceModel(folder), settings);
    return pruned;
  }

  async function ours(method: Method, pattern: string): Promise<Map<string, Uint8Array>> {
    const calibration = windows.map((ids) => ({ ids }));
    return (await pruneOurs(model, { method, pattern, calibration, device })).masks;
  }

  it.each([
    ['wanda', '50%'],
    ['wanda', '2:4'],
    ['magnitude', '50%'],
    ['magnitude', '2:4'],
  ] as const)('%s %s keeps the same weights', async (method, pattern) => {
    const expected = await reference(method, pattern);
    const masks = await ours(method, pattern);
    for (const block of model.decoder.blocks) {
      for (const spec of block.linears) {
        const { keep, scores } = expected[block.index]![spec.role as keyof PrunedBlock];
        const kept = maskToBytes({ ...spec, bits: masks.get(spec.weight)! });
        const total = (flags: Uint8Array) => flags.reduce((sum, flag) => sum + flag, 0);
        expect(total(kept)).toBe(total(keep));
        const differing = [...keep.keys()].filter((i) => keep[i] !== kept[i]);
        // Magnitudes are exact in both. Scores by activations may swap where they are equal to rounding, in pairs.
        expect(differing.length).toBeLessThanOrEqual(method === 'magnitude' ? 0 : keep.length / 1000);
        for (const i of differing) {
          const tied = differing.some(
            (j) => keep[j] !== keep[i] && sameRow(i, j, spec.columns) && near(scores[i]!, scores[j]!),
          );
          expect(tied, `${spec.weight}[${i}] differs though its score is not tied`).toBe(true);
        }
      }
    }
  });

  it('has the same Wanda scores for every weight of the first block', async () => {
    const [expected] = await reference('wanda', '50%', 1);
    const calibration = windows.map((ids) => ({ ids }));
    const states = await calibrationStates({ model, device, calibration, memoryBytes: 2 ** 30, spillFolder: tmpdir() });
    const block = await loadBlock(model, 0, device);
    const wanda = await metrics.load('wanda');
    const inputs = await inputEvidence(wanda.needs, block, states, { device, report: () => {} });
    for (const spec of block.spec.linears) {
      const { weight } = block.linears.get(spec.weight)!;
      const evidence = { columns: inputs.get(spec.input) };
      const { values } = await scoreMatrix(wanda, spec, { weight, evidence }, device);
      const { scores } = expected![spec.role as keyof PrunedBlock];
      const errors = values.map((value, i) => Math.abs(value - scores[i]!) / (scores[i]! || 1));
      expect(values.length).toBe(scores.length);
      expect(errors.reduce((worst, error) => Math.max(worst, error))).toBeLessThan(SAME_SCORE);
    }
    disposeBlock(block);
    await states.close();
  });
});
