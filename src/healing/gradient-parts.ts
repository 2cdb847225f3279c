import { add, type Tensor } from '@tensorflow/tfjs-core';
import type { WeightParts } from '../evidence/index.js';

/** dL/dE of each weight, summed over batches on the device. */
export class GradientParts {
  readonly #sums = new Map<string, readonly Tensor[]>();

  /** Adds to the sums; the tensors given are disposed by their owner. */
  add(weights: ReadonlyMap<string, WeightParts>): void {
    for (const [name, parts] of weights) {
      // An expert that got no token.
      if (parts.some((part) => part === undefined)) continue;
      const before = this.#sums.get(name);
      const sums = parts.map((part, p) => (before === undefined ? part!.clone() : add(before[p]!, part!)));
      for (const tensor of before ?? []) tensor.dispose();
      this.#sums.set(name, sums);
    }
  }

  of(weight: string): readonly Tensor[] | undefined {
    return this.#sums.get(weight);
  }

  dispose(): void {
    for (const parts of this.#sums.values()) for (const tensor of parts) tensor.dispose();
  }
}
