import { BirdboneError } from '../errors.js';
import type { LinearSpec, Model } from '../model/index.js';
import { seededRandom } from '../random.js';
import type { HealSettings, StateArray, TrainState } from './types.js';

/** One linear that is learnt, as the settings have it. */
export interface Learnt {
  readonly spec: LinearSpec;
  readonly block: number;
  readonly rank: number | 'full';
  /** What B A is multiplied by. */
  readonly scale: number;
  /** Factor on the learning rate. */
  readonly intensity: number;
  /** Names of its arrays in a state: B [rows, rank] and A [rank, columns], or D [rows, columns]. */
  readonly arrays: LearntNames;
}

export type LearntNames =
  | { readonly kind: 'adapter'; readonly left: string; readonly right: string }
  | { readonly kind: 'full'; readonly difference: string };

/** The linears that the settings name, in model order. Throws `usage` for a name that is no linear of the model's blocks. */
export function learntOf(model: Model, settings: HealSettings): Learnt[] {
  const found = model.decoder.blocks.flatMap(({ index, linears }) =>
    linears
      .filter(({ weight }) => (settings.intensity.get(weight) ?? 0) > 0)
      .map((spec) => learntLinear(spec, index, settings)),
  );
  const known = new Set(model.decoder.blocks.flatMap(({ linears }) => linears.map(({ weight }) => weight)));
  for (const name of settings.intensity.keys()) if (!known.has(name)) throw noSuchLinear(name, model);
  if (found.length === 0) throw nothingToLearn(model);
  return found;
}

/** What of a linear is learnt; its block is of no account here. */
export function learntLinear(spec: LinearSpec, block: number, settings: HealSettings): Learnt {
  const { weight, rows, columns } = spec;
  const rank = settings.rank === 'full' ? 'full' : Math.min(settings.rank, rows, columns);
  return {
    spec,
    block,
    rank,
    // The rank that was asked for, not what a small matrix has of it: the scale is one for all, as PEFT's lora_alpha / r.
    scale: settings.rank === 'full' ? 1 : settings.alpha / settings.rank,
    intensity: settings.intensity.get(weight) ?? 0,
    arrays:
      rank === 'full'
        ? { kind: 'full', difference: `${weight}.D` }
        : { kind: 'adapter', left: `${weight}.B`, right: `${weight}.A` },
  };
}

/** Names of a trained array's moments in a state. */
export function momentNames(array: string): { readonly first: string; readonly second: string } {
  return { first: `${array}.first`, second: `${array}.second` };
}

/**
 * The state before the first step: B and D are 0, so that the model begins as it is; A is uniform in ±1 / √columns, as PEFT
 * begins (kaiming_uniform_ with a = √5). Moments are 0.
 */
export function initialState(learnt: readonly Learnt[], seed: number): TrainState {
  const random = seededRandom(seed);
  const arrays = new Map<string, StateArray>();
  const put = (name: string, shape: readonly number[], fill?: (values: Float32Array) => void) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    const values = new Float32Array(size);
    fill?.(values);
    const { first, second } = momentNames(name);
    arrays.set(name, { shape, values });
    arrays.set(first, { shape, values: new Float32Array(size) });
    arrays.set(second, { shape, values: new Float32Array(size) });
  };
  for (const { spec, rank, arrays: names } of learnt) {
    const { rows, columns } = spec;
    if (names.kind === 'full') put(names.difference, [rows, columns]);
    else {
      const bound = 1 / Math.sqrt(columns);
      put(names.left, [rows, rank as number]);
      put(names.right, [rank as number, columns], (values) => {
        for (let i = 0; i < values.length; i += 1) values[i] = bound * (random.bits() / 2 ** 31 - 1);
      });
    }
  }
  return { step: 0, skipped: 0, rateScale: 1, arrays };
}

/**
 * A state to go on in, which shares nothing with `from`. One without any array says where to begin, not with what. Throws RangeError for
 * a state of other linears or shapes.
 */
export function stateFrom(from: TrainState | undefined, learnt: readonly Learnt[], seed: number): TrainState {
  const begun = initialState(learnt, seed);
  if (from === undefined) return begun;
  if (from.arrays.size === 0) return { ...from, arrays: begun.arrays };
  for (const [name, { shape }] of begun.arrays) {
    const found = from.arrays.get(name);
    if (found?.shape.join() !== shape.join()) throw otherState(name, shape, found);
  }
  return copyState(from);
}

/** A copy that no further step changes. */
export function copyState(state: TrainState): TrainState {
  const arrays = [...state.arrays].map(
    ([name, { shape, values }]) => [name, { shape, values: values.slice() }] as const,
  );
  return { ...state, arrays: new Map(arrays) };
}

function otherState(name: string, shape: readonly number[], found: StateArray | undefined): RangeError {
  const has = found === undefined ? 'none' : `one of [${found.shape}]`;
  return new RangeError(`these settings learn ${name} of [${shape}]; the state has ${has}`);
}

function noSuchLinear(name: string, { checkpoint, decoder }: Model): BirdboneError {
  return new BirdboneError('usage', `${name} is not a linear of the model's ${decoder.blocks.length} blocks.`, {
    file: checkpoint.path,
    tensor: name,
    suggestions: ['See which there are: birdbone inspect MODEL'],
  });
}

function nothingToLearn({ checkpoint }: Model): BirdboneError {
  return new BirdboneError('usage', 'No linear is to be healed. At least one is needed.', {
    file: checkpoint.path,
    suggestions: ['Name more tensors: --tensors "*"'],
  });
}
