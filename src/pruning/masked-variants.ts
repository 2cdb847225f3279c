import { dispose } from '@tensorflow/tfjs-core';
import type { LoadedBlock, LoadedLinear } from '../model/index.js';
import type { Device, Matrix } from '../tensor/index.js';
import type { BlockVariants, Candidates } from './candidate-contest.js';
import { leastRanks, maskedWeight, type Sparsities, type WeightRanks } from './weight-ranks.js';

/** How sparse a candidate makes each of the ranked matrices. */
export type SparsityOf = (weight: string) => Sparsities;

/** Candidates that say how sparse each ranked matrix is. */
export function maskedVariants(
  weightRanks: WeightRanks,
  sparsities: readonly SparsityOf[],
  { device }: { readonly device: Device },
): Candidates['variants'] {
  return async (block) => {
    const ranks = await weightRanks.upload(block, device);
    const matrices = [...ranks].map(
      ([name, own]) => new MatrixForms(block.linears.get(name)!, own, sparsities, device),
    );
    return {
      keys: sparsities.map((_, candidate) => matrices.map(({ forms }) => forms[candidate]!).join()),
      of: async (candidate) => variantOf(block, matrices, candidate),
      close: () => {
        for (const matrix of matrices) matrix.close();
      },
    };
  };
}

function variantOf(
  block: LoadedBlock,
  matrices: readonly MatrixForms[],
  candidate: number,
): Awaited<ReturnType<BlockVariants['of']>> {
  const linears = new Map<string, LoadedLinear>(block.linears);
  const own: Matrix[] = [];
  for (const matrix of matrices) {
    const { weight, isKept } = matrix.of(candidate);
    linears.set(matrix.linear.spec.weight, { ...matrix.linear, weight });
    if (!isKept) own.push(weight);
  }
  return { block: { ...block, linears }, dispose: () => dispose(own.flatMap(({ parts }) => [...parts])) };
}

/**
 * One matrix in the forms that candidates give it. Those of a generation differ from the one that they were made of in few places, so
 * the form that most of them share is made once and kept.
 */
class MatrixForms {
  readonly linear: LoadedLinear;
  /** Of each candidate the number of its form. */
  readonly forms: readonly number[];
  readonly #least: readonly (number | Float32Array)[];
  readonly #ranks: Matrix;
  readonly #device: Device;
  readonly #shared: number;
  #kept: Matrix | undefined;

  constructor(linear: LoadedLinear, ranks: Matrix, sparsities: readonly SparsityOf[], device: Device) {
    this.linear = linear;
    this.#ranks = ranks;
    this.#device = device;
    const all = sparsities.map((sparsityOf) => leastRanks(sparsityOf(linear.spec.weight)));
    const numbers = new Map<string, number>();
    const numberOf = (key: string) => numbers.get(key) ?? numbers.set(key, numbers.size).size - 1;
    this.forms = all.map((least) => numberOf(typeof least === 'number' ? `all ${least}` : least.join()));
    this.#least = [...numbers.values()].map((form) => all[this.forms.indexOf(form)]!);
    const counts = this.#least.map((_, form) => this.forms.filter((other) => other === form).length);
    this.#shared = counts.indexOf(Math.max(...counts));
  }

  /** The weight in a candidate's form: one that is kept until `close`, or the caller's to dispose. */
  of(candidate: number): { readonly weight: Matrix; readonly isKept: boolean } {
    const form = this.forms[candidate]!;
    if (form !== this.#shared) return { weight: this.#make(form), isKept: false };
    this.#kept ??= this.#make(form);
    return { weight: this.#kept, isKept: true };
  }

  #make(form: number): Matrix {
    return maskedWeight(this.linear.weight, this.#ranks, { least: this.#least[form]!, device: this.#device });
  }

  close(): void {
    dispose([...this.#ranks.parts, ...(this.#kept?.parts ?? [])]);
  }
}
