import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collectOutputs, type OutputEvidence, type OutputTap, SKETCH_COLUMNS } from '../../src/evidence/index.js';
import { MomentSums } from '../../src/evidence/output-moments.js';
import { disposeBlock, loadBlock } from '../../src/model/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { referenceLogits } from '../reference/float64-decoder.js';
import { TINY_LLAMA, tinyModel } from '../reference/tiny-model.js';
import { statesBefore, type TinySession, tinySession } from './tiny-session.js';

const GATE = 'model.layers.1.mlp.gate_proj.weight';
/** Batches of at most this many tokens: the windows below make padded ones of it. */
const MAX_TOKENS = 24;

let session: TinySession;
let device: Device;
beforeAll(async () => {
  session = await tinySession(tinyModel(TINY_LLAMA), [9, 12, 12, 3, 1, 30, 40]);
  device = await openDevice('cpu');
});
afterAll(async () => {
  await device.close();
  await session.close();
});

type Oracle = 'qkv' | 'o' | 'gate-up' | 'down';

/** What goes into the linears of block 1 for every token, by the oracle. */
function inputsOf(wanted: Oracle): Float64Array[] {
  const vectors: Float64Array[] = [];
  for (const ids of session.sequences) {
    referenceLogits(session.reference, ids, (layer, input, found) => {
      if (layer === 1 && input === wanted) vectors.push(...found);
    });
  }
  return vectors;
}

async function collect(taps: readonly OutputTap[]): Promise<OutputEvidence[]> {
  const block = await loadBlock(session.model, 1, device);
  const states = await statesBefore(session, 1, device, MAX_TOKENS);
  const before = device.memory();
  try {
    return await collectOutputs(block, states, taps, { device, seed: 3, store: false });
  } finally {
    expect(device.memory()).toEqual(before);
    await states.close();
    disposeBlock(block);
  }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;

/** The figures by their definitions, in float64, over all tokens at once: outputs[token][neuron]. */
function expectFigures(found: OutputEvidence, outputs: readonly (readonly number[])[]): void {
  expect(found.tokens).toBe(outputs.length);
  const loudness = outputs.map((token) => Math.sqrt(mean(token.map((value) => value * value))));
  for (let j = 0; j < found.neurons; j += 1) {
    const x = outputs.map((token) => token[j]!);
    const middle = mean(x);
    const central = (power: number) => mean(x.map((value) => (value - middle) ** power));
    expect(found.mean[j]).toBeCloseTo(middle, 4);
    expect(found.variance[j]! / central(2)).toBeCloseTo(1, 4);
    expect(found.kurtosis[j]).toBeCloseTo(central(4) / central(2) ** 2 - 3, 3);
    const amount = mean(x.map(Math.abs));
    expect(found.sparseness[j]).toBeCloseTo(1 - amount ** 2 / mean(x.map((value) => value * value)), 4);
    expect(found.firing[j]).toBeCloseTo(mean(x.map((value, t) => Number(Math.abs(value) > loudness[t]!))), 6);
  }
}

describe('outputs of neurons', () => {
  it('are those of the oracle: channels, heads, and rows of a matrix', async () => {
    const [channels, heads, rows] = await collect([
      { kind: 'columns', input: 'ffn-inner', neurons: 44 },
      { kind: 'norms', input: 'attention-out', neurons: 4 },
      { kind: 'rows', weight: GATE },
    ]);
    expectFigures(
      channels!,
      inputsOf('down').map((vector) => [...vector]),
    );
    const headDim = 8;
    expectFigures(
      heads!,
      inputsOf('o').map((vector) => {
        return [0, 1, 2, 3].map((head) => Math.hypot(...vector.subarray(head * headDim, (head + 1) * headDim)));
      }),
    );
    const { values } = session.reference.tensor(GATE)!;
    const weight = Array.from({ length: 44 }, (_, row) => Array.from({ length: 32 }, (_, i) => values[row * 32 + i]!));
    expectFigures(
      rows!,
      inputsOf('gate-up').map((x) => weight.map((row) => sum(row.map((w, i) => w * x[i]!)))),
    );
  });

  it('have sketches whose inner products are their correlations, within the error that their width leaves', async () => {
    const [found] = await collect([{ kind: 'columns', input: 'ffn-inner', neurons: 44 }]);
    const outputs = inputsOf('down');
    const standard = Array.from({ length: 44 }, (_, j) => {
      const x = outputs.map((token) => token[j]!);
      const deviation = Math.sqrt(mean(x.map((value) => (value - mean(x)) ** 2)));
      return x.map((value) => (value - mean(x)) / deviation);
    });
    const sketchOf = (j: number) => [...found!.sketch.subarray(j * SKETCH_COLUMNS, (j + 1) * SKETCH_COLUMNS)];
    const errors: number[] = [];
    for (let a = 0; a < 44; a += 1) {
      for (let b = a + 1; b < 44; b += 1) {
        const correlation = mean(standard[a]!.map((value, t) => value * standard[b]![t]!));
        const product = sum(sketchOf(a).map((value, c) => value * sketchOf(b)[c]!));
        errors.push(product - correlation);
      }
    }
    // One standard deviation of the error is (1 + ρ²)/128 under the root at most; over all pairs it shows as that, not as a bias.
    const deviation = Math.sqrt(mean(errors.map((error) => error * error)));
    expect(deviation).toBeGreaterThan(0.02);
    expect(deviation).toBeLessThan(0.13);
    expect(Math.abs(mean(errors))).toBeLessThan(0.02);
  });

  it('take part in the same sketch whatever else is asked for', async () => {
    const tap: OutputTap = { kind: 'norms', input: 'attention-out', neurons: 4 };
    const [alone] = await collect([tap]);
    const [, among] = await collect([{ kind: 'rows', weight: GATE }, tap]);
    expect(among).toEqual(alone);
  });
});

describe('moments', () => {
  const value = fc.double({ min: -1e3, max: 1e3, noNaN: true });

  it('are the same whether tokens come together or in groups, far from 0 too', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(value, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(0, 1e6),
        (groups, far) => {
          const sums = new MomentSums(1);
          for (const group of groups) sums.add(deviceSums(group.map((x) => x + far)), group.length);
          const all = groups.flat().map((x) => x + far);
          const middle = mean(all);
          const central = (power: number) => mean(all.map((x) => (x - middle) ** power));
          const found = sums.finish();
          expect(found.mean[0]).toBeCloseTo(middle, 5);
          const scale = Math.max(1e-3, central(2));
          expect(found.variance[0]! / scale).toBeCloseTo(central(2) / scale, 3);
          // Below this, the values differ by what a float32 near 10⁶ cannot tell.
          if (central(2) > 1) expect(found.kurtosis[0]).toBeCloseTo(central(4) / central(2) ** 2 - 3, 2);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('of a coin are −2, and of what never varies 0', () => {
    const coin = new MomentSums(1);
    coin.add(deviceSums([1, -1, 1, -1]), 4);
    coin.add(deviceSums([-1, 1]), 2);
    expect(coin.finish().kurtosis[0]).toBeCloseTo(-2, 12);
    const still = new MomentSums(1);
    still.add(deviceSums([5, 5, 5]), 3);
    expect([...still.finish().kurtosis, ...still.finish().variance]).toEqual([0, 0]);
  });

  /** The rows that a device hands over for one neuron, its mean rounded to a float32 as there. */
  function deviceSums(x: readonly number[]): Float32Array {
    const centre = Math.fround(mean(x));
    const power = (p: number) => sum(x.map((value) => (value - centre) ** p));
    // As float64 in a Float32Array's place: what the merge itself does is looked at.
    return Float64Array.from([centre, power(1), power(2), power(3), power(4), sum(x.map(Math.abs)), 0]) as never;
  }
});
