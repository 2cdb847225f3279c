import { SKETCH_COLUMNS, TokenSigns } from '../evidence/index.js';
import { type Device, multiplyOnDevice } from '../tensor/index.js';
import type { Leg } from './legs.js';
import { type HostWeight, legProfiles } from './weight-figures.js';

/** Profiles that go to the device at once. */
const PIECE_BYTES = 32 * 2 ** 20;

/** Directions of neurons, [neurons, width]; those of several legs stand beside each other. */
export interface Directions {
  readonly values: Float64Array;
  readonly width: number;
}

/**
 * Gathers the profiles of several legs into one direction for each neuron: as they are where they are short, else through random
 * signs, which leave inner products as they are within 1/√128 of the lengths (Achlioptas 2003).
 */
export class ProfileSketch {
  readonly #count: number;
  readonly #isShort: boolean;
  readonly #signs: TokenSigns;
  readonly #values: Float64Array;
  readonly #width: number;
  #taken = 0;

  /** `total`: the lengths of all legs' profiles together. */
  constructor(count: number, total: number, seed: number) {
    this.#count = count;
    this.#isShort = total <= SKETCH_COLUMNS;
    this.#width = this.#isShort ? total : SKETCH_COLUMNS;
    this.#signs = new TokenSigns(seed);
    this.#values = new Float64Array(count * this.#width);
  }

  /** Takes in the next leg. */
  async add(leg: Leg, weight: HostWeight, device: Device): Promise<void> {
    const { values, width } = legProfiles(leg, weight, this.#count);
    if (this.#isShort) {
      for (let i = 0; i < this.#count; i += 1) {
        this.#values.set(values.subarray(i * width, (i + 1) * width), i * this.#width + this.#taken);
      }
    } else {
      await this.#addProduct(values, width, device);
    }
    this.#taken += width;
  }

  finish(): Directions {
    return { values: this.#values, width: this.#width };
  }

  async #addProduct(values: Float32Array, width: number, device: Device): Promise<void> {
    const scale = 1 / Math.sqrt(SKETCH_COLUMNS);
    const signs = this.#signs.next(width).map((sign) => sign * scale);
    const right = { values: signs, rows: width, columns: SKETCH_COLUMNS };
    const step = Math.max(1, Math.floor(Math.min(PIECE_BYTES, device.maxTensorBytes) / (4 * width)));
    for (let start = 0; start < this.#count; start += step) {
      const rows = Math.min(step, this.#count - start);
      const left = { values: values.subarray(start * width, (start + rows) * width), rows, columns: width };
      const found = await multiplyOnDevice(left, right, device);
      for (let i = 0; i < found.length; i += 1) this.#values[start * SKETCH_COLUMNS + i]! += found[i]!;
    }
  }
}
