import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFloats } from '../../../src/checkpoint/index.js';
import { type Model, openModel } from '../../../src/model/index.js';
import { type QuantizedMatrix, schemeOf } from '../../../src/quantization/index.js';
import type { QuantizerOptions } from '../../../src/quantizing/index.js';
import { type Device, openDevice } from '../../../src/tensor/index.js';
import { sharedData, sharedMissing, sharedModel } from '../../shared.js';
import { type LinearName, loadReferenceModel, readWindows } from '../load.js';
import { quantizeOurs } from './our-quantization.js';
import { quantizeReference, type ReferenceAlgorithm, type RoundedBlock } from './quantize-reference.js';
import type { Rounded } from './rounding.js';

const PLAIN: QuantizerOptions = { actOrder: false, trueSequential: false };
const ACT_ORDER: QuantizerOptions = { actOrder: true, trueSequential: false };

/**
 * Integers that may differ, of a million: a weight within single precision of the border between two. GPTQ moves every later weight
 * of the row after such a one by up to a step.
 */
const CASES = [
  { name: 'rtn int8 per channel', algorithm: 'rtn', ours: 'rtn', bits: 8, differing: 0 },
  { name: 'rtn int4 g16', algorithm: 'rtn', ours: 'rtn', bits: 4, group: 16, differing: 0 },
  { name: 'gptq int4 g16', algorithm: 'gptq', ours: 'gptq', bits: 4, group: 16, options: PLAIN, differing: 2000 },
  { name: 'gptq int3 per channel', algorithm: 'gptq', ours: 'gptq', bits: 3, options: PLAIN, differing: 2000 },
  {
    name: 'gptq int3 g16 act-order',
    algorithm: 'gptq act-order',
    ours: 'gptq',
    bits: 3,
    group: 16,
    options: ACT_ORDER,
    differing: 2000,
  },
  { name: 'awq int3 g16', algorithm: 'awq', ours: 'awq', bits: 3, group: 16, differing: 500 },
] as const;

describe.skipIf(sharedMissing)(`quantizers against the reference${sharedMissing ? `: ${sharedMissing}` : ''}`, () => {
  const folder = sharedMissing ? '' : sharedModel('stories260k');
  let device: Device;
  let windows: Int32Array[];
  beforeAll(async () => {
    device = await openDevice('cpu');
    windows = readWindows(folder, sharedData('tinystories-1000', 'eval.txt'), 128, 1);
  });
  afterAll(() => device.close());

  it.each(CASES)('$name: the first block has the same integers and scales', async (at) => {
    const reference = loadReferenceModel(folder);
    const scheme = { bits: at.bits, ...('group' in at && { group: at.group }) };
    let expected: RoundedBlock | undefined;
    const algorithm = at.algorithm as ReferenceAlgorithm;
    const onBlock = (_: number, block: RoundedBlock) => {
      expected = block;
    };
    await quantizeReference(reference, { algorithm, scheme, windows, threads: 0, blocks: 1, onBlock });
    const model = await openModel(folder);
    const first = { ...model, decoder: { ...model.decoder, blocks: model.decoder.blocks.slice(0, 1) } };
    const made = await quantizeOurs(first, {
      algorithm: at.ours,
      scheme: schemeOf(`int${at.bits}`, { groupSize: 'group' in at ? at.group : 'channel', scaleDtype: 'F16' }),
      ...('options' in at && { options: at.options }),
      calibration: windows.map((ids) => ({ ids })),
      device,
    });
    for (const { weight, role } of first.decoder.blocks[0]!.linears) {
      const { apart, differing, clipped } = compare(made.matrices.get(weight)!, expected![role as LinearName]);
      expect(differing * 1e6, weight).toBeLessThanOrEqual(at.differing);
      expect(clipped, weight).toBeLessThanOrEqual(at.algorithm === 'awq' ? 1 : 0);
      expect(apart, weight).toBeLessThan(at.algorithm === 'rtn' ? 1e-7 : 2e-3);
    }
    if (at.ours === 'awq') await compareNorms(made.model, reference.blocks[0]!);
    await model.checkpoint.close();
  });
});

/** Of AWQ's search for where to clip: two neighbours can be equally good to within single precision. */
const CLIP_STEP = 1 / 20;

/**
 * Integers that differ, as a share; of scales whose rows have the same integers, the largest relative difference, and how many are a
 * whole step of the search for where to clip away.
 */
function compare({ codes, rows, columns, scheme, scales }: QuantizedMatrix, expected: Rounded) {
  const center = 2 ** (scheme.bits - 1);
  const across = scales.values.length / rows;
  let [differing, apart, clipped] = [0, 0, 0];
  for (let row = 0; row < rows; row++) {
    let inRow = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) if (codes[i]! - center !== expected.codes[i]) inRow += 1;
    differing += inRow;
    if (inRow > 0) continue;
    for (let i = row * across; i < (row + 1) * across; i++) {
      const difference = Math.abs(scales.values[i]! / expected.scales[i]! - 1);
      if (difference > 0.9 * CLIP_STEP) clipped += 1;
      else apart = Math.max(apart, difference);
    }
  }
  return { apart, clipped, differing: differing / codes.length };
}

async function compareNorms(model: Model, expected: { attentionNorm: Float64Array; ffnNorm: Float64Array }) {
  for (const kind of ['attention-norm', 'ffn-norm'] as const) {
    const { tensor } = model.decoder.blocks[0]!.vectors.find((vector) => vector.kind === kind)!;
    const found = await readFloats(model.checkpoint, tensor);
    const wanted = kind === 'attention-norm' ? expected.attentionNorm : expected.ffnNorm;
    found.forEach((gain, j) => {
      expect(Math.abs(gain / wanted[j]! - 1), `${tensor}[${j}]`).toBeLessThan(1e-4);
    });
  }
}
