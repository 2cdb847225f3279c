import { type Checkpoint, rangeWithin, type TensorInfo } from '../checkpoint/index.js';
import type { CodedView } from '../coding/index.js';
import { BirdboneError } from '../errors.js';
import type { LinearSpec, Model } from '../model/index.js';
import { storedValues } from '../pruning/index.js';
import { encodeFromF32 } from '../tensor/index.js';
import { withSameZeros } from './same-zeros.js';
import { readWeight } from './stored-weight.js';
import type { HealSettings, Trainer, TrainState } from './types.js';

/** The linears that healing may change, in model order: all but the routers of experts, whose few weights decide where tokens go. */
export function healableLinears({ decoder }: Model): readonly LinearSpec[] {
  return decoder.blocks.flatMap(({ linears }) => linears.filter(({ role }) => role !== 'router'));
}

/** What a linear's weight is stored as, before and after. Throws `unsupported` for one whose values cannot be replaced one by one. */
export function healedTensor({ checkpoint }: Model, { weight }: LinearSpec): TensorInfo {
  const info = checkpoint.tensors.get(weight)!;
  const isCoded = 'coded' in checkpoint && (checkpoint as CodedView).coded.has(weight);
  if (!isCoded && isFloat(info)) return info;
  const kind = isCoded ? 'in codes' : `as ${info.dtype}`;
  throw new BirdboneError(
    'unsupported',
    `${weight} is stored ${kind}: healing puts new values in its place, and they would have to be rounded to codes again.`,
    {
      file: checkpoint.path,
      tensor: weight,
      suggestions: [
        'Learn an adapter beside the codes: birdbone heal MODEL --format adapter',
        'Heal before quantizing: put the step "heal" before "quantize"',
      ],
    },
  );
}

function isFloat({ dtype }: TensorInfo): boolean {
  try {
    encodeFromF32(new Float32Array(0), dtype);
    return true;
  } catch (error) {
    if (error instanceof BirdboneError) return false;
    throw error;
  }
}

/** What a training has learnt, and by what. */
export interface Learning {
  readonly trainer: Trainer;
  readonly state: TrainState;
  readonly settings: HealSettings;
}

/**
 * The model's checkpoint as it is when what was learnt is merged into its weights, rounded to the types that they are stored in; what is 0
 * stays 0. Nothing is computed before it is read, and one matrix is kept. Closing it closes the model's.
 */
export function healedView(model: Model, { trainer, state, settings }: Learning): Checkpoint {
  const { checkpoint } = model;
  const learnt = new Map(
    healableLinears(model)
      .filter(({ weight }) => (settings.intensity.get(weight) ?? 0) > 0)
      .map((spec) => [spec.weight, spec]),
  );
  let last: { readonly name: string; readonly bytes: Uint8Array } | undefined;
  const healed = async (spec: LinearSpec) => {
    if (last?.name === spec.weight) return last.bytes;
    const merged = trainer.merge(spec, await readWeight(checkpoint, spec), state, settings);
    const before = await checkpoint.read(spec.weight);
    const bytes = withSameZeros(storedValues(merged, spec), before, checkpoint.tensors.get(spec.weight)!.dtype);
    last = { name: spec.weight, bytes };
    return bytes;
  };
  return {
    ...checkpoint,
    async read(name, range) {
      const stored = checkpoint.aliases.get(name) ?? name;
      const spec = learnt.get(stored);
      if (spec === undefined) return checkpoint.read(stored, range);
      const { offset, length } = rangeWithin(checkpoint.tensors.get(stored)!, range);
      return (await healed(spec)).slice(offset, offset + length);
    },
    close: () => checkpoint.close(),
  };
}
