import type { Device } from '../../src/tensor/index.js';
import type { SyntheticShape } from '../synthetic-mistral.js';

/** How large everything is: as the targets have it, or so small that a GPU imitated in software gets through. */
export interface Sizes {
  /** [m, k] · [k, n] each. */
  readonly products: readonly (readonly [m: number, k: number, n: number])[];
  readonly copyBytes: number;
  readonly shape: SyntheticShape;
  readonly context: number;
  /** Windows that jobs are timed with: from the two follow what a block costs, and what a window costs. */
  readonly windows: readonly [few: number, more: number];
  /** Seconds that a repeated measurement lasts at least, and its rounds. */
  readonly minSeconds: number;
  readonly rounds: number;
}

/** What a stage works with. */
export interface Bench {
  readonly device: Device;
  /** The device below `device`: what WebGPU itself says and takes. */
  readonly gpu: GPUDevice;
  readonly adapterInfo: GPUAdapterInfo;
  readonly sizes: Sizes;
  /** Of one Mistral-7B-shaped block, bf16, on the disk. */
  readonly model: string;
  /** For what jobs write. */
  readonly folder: string;
}

/** One thing that is measured; what it throws is kept as its result, and the others go on. */
export type Stage = (bench: Bench) => Promise<unknown>;

/** Seconds of each of `rounds` repetitions of `work`, which ends when the GPU has; one before them warms up. */
export async function timed(rounds: number, work: () => Promise<void>): Promise<number[]> {
  await work();
  const seconds: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const start = performance.now();
    await work();
    seconds.push((performance.now() - start) / 1000);
  }
  return seconds;
}
