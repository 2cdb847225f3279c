import { abs, keep, max, type Scalar, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { stopIfAborted } from '../errors.js';
import { disposeBlock, type LoadedBlock, loadBlock, runBlock } from '../model/index.js';
import { calibrationStates, type EditContext } from '../pruning/index.js';
import type { Device } from '../tensor/index.js';

/** The largest number of E4M3. */
const LARGEST_E4M3 = 448;

/** What one block's keys and values are divided by before they are rounded to FP8; the form in which journal and layouts have it. */
export interface KeyValueRow {
  readonly block: number;
  readonly k: number;
  readonly v: number;
}

/**
 * Scales for a cache of FP8 for each block: the largest key, turned, and the largest value that a calibration text makes in the
 * model as it is come to the largest number of E4M3. One block's weights are resident. Deterministic.
 */
export async function keyValueScales(
  context: Pick<EditContext, 'model' | 'device' | 'calibration' | 'memoryBytes' | 'spillFolder' | 'report' | 'signal'>,
): Promise<KeyValueRow[]> {
  const { model, device, report, signal } = context;
  const states = await calibrationStates(context);
  const total = model.decoder.blocks.length;
  const rows: KeyValueRow[] = [];
  try {
    for (let index = 0; index < total; index += 1) {
      stopIfAborted(signal);
      const block = await loadBlock(model, index, device);
      const ranges = new Ranges(device);
      try {
        const watched: LoadedBlock = { ...block, keyValues: ranges.observe };
        await runBlock(watched, states, device, { store: true, settle: ranges.settle, ...(signal && { signal }) });
      } finally {
        ranges.drop();
        disposeBlock(block);
      }
      const [k, v] = ranges.largest.map(scaleOf);
      if (block.spec.attention) rows.push({ block: index, k: k!, v: v! });
      report({ type: 'progress', stage: 'key-value scales', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states.close();
  }
  return rows;
}

/** A float32, as layouts store it; 1 for a cache of zeros. */
function scaleOf(largest: number): number {
  return largest === 0 ? 1 : Math.fround(largest / LARGEST_E4M3);
}

/** The largest magnitudes among keys and among values, batch after batch. */
class Ranges {
  readonly largest: [keys: number, values: number] = [0, 0];
  readonly #device: Device;
  #pending: Scalar[] = [];

  constructor(device: Device) {
    this.#device = device;
  }

  readonly observe: NonNullable<LoadedBlock['keyValues']> = (keys, values) => {
    this.#pending.push(largestOf(keys), largestOf(values));
    return [keys, values];
  };

  readonly settle = async (): Promise<void> => {
    for (const [index, scalar] of this.#pending.entries()) {
      const [found = 0] = await this.#device.read(scalar);
      this.largest[index % 2] = Math.max(this.largest[index % 2]!, found);
    }
    this.drop();
  };

  drop(): void {
    for (const scalar of this.#pending) scalar.dispose();
    this.#pending = [];
  }
}

function largestOf(tensor: Tensor): Scalar {
  return keep(tidy(() => max(abs(tensor)) as Scalar));
}
