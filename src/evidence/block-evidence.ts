import { dispose, type Tensor1D } from '@tensorflow/tfjs-core';
import type { LinearInput } from '../model/index.js';
import type { EvidenceKind } from './kinds.js';

/** Mean and population variance (divided by the number of tokens) of each column, [columns] on the device. */
export interface Moments {
  readonly mean: Tensor1D;
  readonly variance: Tensor1D;
}

/** Σ x xᵀ over `tokens` tokens: [columns, columns] row-major on the host, exactly symmetric, not divided by anything. */
export interface Gram {
  readonly values: Float32Array;
  readonly columns: number;
  readonly tokens: number;
}

/** What was found of one input, shared by every linear that reads it; a kind that was not asked for is absent. */
export interface InputEvidence {
  /** Tokens that were counted: 0 for an expert that no token was sent to. */
  readonly tokens: number;
  readonly columns: number;
  /** ‖X_j‖₂ [columns]. */
  readonly norms?: Tensor1D;
  readonly moments?: Moments;
  /** mean |X_j| [columns]. */
  readonly absMeans?: Tensor1D;
  /** max |X_j| [columns]. */
  readonly absMaxima?: Tensor1D;
  readonly gram?: Gram;
}

/**
 * What calibration showed of a block, by the input that its linears share. Column statistics lie on the device until
 * `dispose`, Gram matrices on the host until they are let go of.
 */
export class BlockEvidence {
  readonly #inputs: Map<LinearInput, InputEvidence>;

  constructor(inputs: ReadonlyMap<LinearInput, InputEvidence>) {
    this.#inputs = new Map(inputs);
  }

  get inputs(): readonly LinearInput[] {
    return [...this.#inputs.keys()];
  }

  tokensOf(input: LinearInput): number {
    return this.#of(input).tokens;
  }

  normsOf(input: LinearInput): Tensor1D {
    return this.#of(input).norms ?? notCollected('norms', input);
  }

  momentsOf(input: LinearInput): Moments {
    return this.#of(input).moments ?? notCollected('moments', input);
  }

  absMeansOf(input: LinearInput): Tensor1D {
    return this.#of(input).absMeans ?? notCollected('abs-means', input);
  }

  absMaximaOf(input: LinearInput): Tensor1D {
    return this.#of(input).absMaxima ?? notCollected('abs-maxima', input);
  }

  /** Not to be written to: linears with the same input share it. */
  gramOf(input: LinearInput): Gram {
    return this.#of(input).gram ?? notCollected('gram', input);
  }

  /** Hands the Gram matrix over and forgets it, so that the caller may work in place and its memory goes when he is done. */
  takeGram(input: LinearInput): Gram {
    const { gram, ...rest } = this.#of(input);
    this.#inputs.set(input, rest);
    return gram ?? notCollected('gram', input);
  }

  dispose(): void {
    for (const { norms, moments, absMeans, absMaxima } of this.#inputs.values()) {
      for (const tensor of [norms, moments?.mean, moments?.variance, absMeans, absMaxima])
        if (tensor !== undefined) dispose(tensor);
    }
    this.#inputs.clear();
  }

  #of(input: LinearInput): InputEvidence {
    const found = this.#inputs.get(input);
    if (found === undefined) throw new RangeError(`no evidence of the input ${input}`);
    return found;
  }
}

function notCollected(kind: EvidenceKind, input: LinearInput): never {
  throw new RangeError(`${kind} of the input ${input} were not collected`);
}
