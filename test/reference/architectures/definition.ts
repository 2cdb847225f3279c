/**
 * What the float64 forward passes of this folder read and give. Each family is written from its published definition (the
 * modeling file of transformers that its docstring names, and the paper), in plain loops; none shares code with src/.
 */
export interface ReferenceTensor {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

export interface ReferenceModel {
  /** config.json, parsed. */
  readonly config: Readonly<Record<string, unknown>>;
  /** By Hugging Face name; undefined when the model has no such tensor (a bias, a tied head). */
  tensor(name: string): ReferenceTensor | undefined;
}

/** Logits [t][vocabulary] for one sequence with nothing before it. */
export type ReferenceForward = (model: ReferenceModel, ids: ArrayLike<number>) => Float64Array[];

/** A number of config.json; the default stands for a key that is absent or null. */
export function numberOf(config: ReferenceModel['config'], key: string, absent?: number): number {
  const value = config[key] ?? absent;
  if (typeof value !== 'number') throw new Error(`the reference config has no number ${key}`);
  return value;
}

/** The first of the names that the model has. */
export function tensorOf(model: ReferenceModel, ...names: string[]): ReferenceTensor {
  for (const name of names) {
    const tensor = model.tensor(name);
    if (tensor !== undefined) return tensor;
  }
  throw new Error(`the reference model has none of ${names.join(', ')}`);
}
