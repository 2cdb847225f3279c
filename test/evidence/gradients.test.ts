import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  collectGradients,
  GRADIENT_KINDS,
  type GradientKind,
  type PassContext,
  type WeightGradients,
} from '../../src/evidence/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { TINY_LLAMA, type TinyConfig, tinyModel } from '../reference/tiny-model.js';
import {
  meanGradient,
  meanSquare,
  relativeError,
  type WindowGradients,
  windowGradients,
} from './finite-differences.js';
import { SUBJECTS } from './subjects.js';
import { type TinySession, tinySession } from './tiny-session.js';
import { wholeModelGradients } from './whole-model.js';

const CONFIG: TinyConfig = {
  ...TINY_LLAMA,
  vocab_size: 13,
  hidden_size: 8,
  intermediate_size: 10,
  num_attention_heads: 2,
  num_key_value_heads: 1,
};
/** Windows of several lengths, so that batches are padded; one of them predicts nothing. */
const LENGTHS = [5, 7, 1, 3];

let session: TinySession;
let names: string[];
let windows: WindowGradients[];
const spillFolder = mkdtempSync(path.join(tmpdir(), 'birdbone-gradients-'));

beforeAll(async () => {
  session = await tinySession(tinyModel(CONFIG, 3), LENGTHS);
  names = session.model.decoder.blocks.flatMap(({ linears }) => linears.map(({ weight }) => weight));
  windows = windowGradients(session.reference, names, session.sequences);
});
afterAll(async () => {
  await session.close();
  rmSync(spillFolder, { recursive: true });
});

async function collect(
  kinds: readonly GradientKind[],
  context: Pick<PassContext, 'device'> & Partial<PassContext>,
): Promise<Map<string, WeightGradients>> {
  const calibration = session.sequences.map((ids) => ({ ids }));
  const found = new Map<string, WeightGradients>();
  const blocks: number[] = [];
  const full = { memoryBytes: 2 ** 24, spillFolder, ...context };
  for await (const { block, weights } of collectGradients(session.model, calibration, new Set(kinds), full)) {
    blocks.push(block);
    for (const [name, gradients] of weights) found.set(name, gradients);
  }
  expect(blocks).toEqual([1, 0]);
  return found;
}

describe.each(SUBJECTS)('gradients on $name', ({ name: deviceName, missing }) => {
  describe.skipIf(missing !== undefined)(missing ?? 'available', () => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice(deviceName);
    });
    afterAll(() => device.close());

    it('and the Fisher diagonal are those of central differences, window by window, in float64', async () => {
      const found = await collect(GRADIENT_KINDS, { device });
      expect([...found.keys()].sort()).toEqual([...names].sort());
      for (const name of names) {
        const { gradient, fisher } = found.get(name)!;
        expect(relativeError(gradient!, meanGradient(windows, name)), `gradient of ${name}`).toBeLessThan(1e-4);
        expect(relativeError(fisher!, meanSquare(windows, name)), `fisher of ${name}`).toBeLessThan(1e-4);
      }
    });

    it('count no padding: batches of several windows give what single ones give', async () => {
      const found = await collect(['gradient'], { device });
      for (const name of names) {
        expect(found.get(name)!.fisher).toBeUndefined();
        expect(relativeError(found.get(name)!.gradient!, meanGradient(windows, name)), name).toBeLessThan(1e-4);
      }
    });

    it('leave the device and the spill folder as they were', async () => {
      const before = device.memory();
      await collect(['fisher'], { device, memoryBytes: 0 });
      expect(device.memory()).toEqual(before);
      expect(readdirSync(spillFolder)).toEqual([]);
    });
  });
});

describe('gradients', () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('cpu');
  });
  afterAll(() => device.close());

  it('block by block are those of one tape over the whole model', async () => {
    const [found, whole] = [await collect(['gradient'], { device }), await wholeModelGradients(session, device)];
    for (const name of names) {
      expect(relativeError(found.get(name)!.gradient!, Float64Array.from(whole.get(name)!)), name).toBeLessThan(1e-5);
    }
  });

  it('squared window by window are not the mean gradient squared, which is no Fisher diagonal', async () => {
    const found = await collect(GRADIENT_KINDS, { device });
    for (const name of names) {
      const { gradient, fisher } = found.get(name)!;
      const squaredMean = gradient!.map((value) => value ** 2);
      expect(relativeError(squaredMean, Float64Array.from(fisher!)), name).toBeGreaterThan(0.05);
    }
  });

  it('are the same to the last bit from a file, from memory, and when some of the states fit', async () => {
    const bytes = 4 * 15 * CONFIG.hidden_size;
    const [inMemory, inFile, mixed] = [
      await collect(GRADIENT_KINDS, { device }),
      await collect(GRADIENT_KINDS, { device, memoryBytes: 0 }),
      await collect(GRADIENT_KINDS, { device, memoryBytes: 2 * bytes }),
    ];
    expect(inFile).toEqual(inMemory);
    expect(mixed).toEqual(inMemory);
  });

  it('stop when they are interrupted, forward and backward, and leave nothing behind', async () => {
    for (const stopAfter of [1, 2, 3]) {
      const before = device.memory();
      const abort = new AbortController();
      const onBlock = (done: number) => done === stopAfter && abort.abort();
      const stopped = collect(['fisher'], { device, memoryBytes: 0, signal: abort.signal, onBlock });
      await expect(stopped).rejects.toThrow(expect.objectContaining({ code: 'interrupted' }));
      expect(device.memory()).toEqual(before);
      expect(readdirSync(spillFolder)).toEqual([]);
    }
  });

  it('of which no more are wanted leave nothing behind', async () => {
    const before = device.memory();
    const calibration = session.sequences.map((ids) => ({ ids }));
    const context = { device, memoryBytes: 2 ** 24, spillFolder };
    for await (const { block } of collectGradients(session.model, calibration, new Set(['fisher']), context)) {
      expect(block).toBe(1);
      break;
    }
    expect(device.memory()).toEqual(before);
  });

  it('of text that predicts nothing are refused', async () => {
    const context = { device, memoryBytes: 2 ** 24, spillFolder };
    const ones = [{ ids: Int32Array.of(3) }, { ids: Int32Array.of(4) }];
    const gradients = collectGradients(session.model, ones, new Set(['gradient']), context);
    await expect(gradients.next()).rejects.toThrow('None of the 2 calibration windows has two tokens');
  });
});
