/** A tensor that is not where the rest of its model is, and the wave after which it stands. */
export type TensorAtWave = readonly [tensor: string, wave: number];

/**
 * Which waves are in a model: those up to `wave`, but for the tensors that a partial rollback put elsewhere. Waves that the gate
 * rolled back are in no state, whatever their number.
 */
export interface WaveState {
  /** The last wave that counts; 0 is the dense base. */
  readonly wave: number;
  /** In name order, and never at `wave` itself. */
  readonly tensors: readonly TensorAtWave[];
}

/** The state in which every tensor stands after the same wave. */
export function stateAfter(wave: number): WaveState {
  return { wave, tensors: [] };
}

/** The wave after which each tensor stands, as a function that is quick to ask often. */
export function waveOf(state: WaveState): (tensor: string) => number {
  const elsewhere = new Map(state.tensors);
  return (tensor) => elsewhere.get(tensor) ?? state.wave;
}

/** `state`, with the tensors named as they are in `target`; all of `target` where none are named. */
export function moved(state: WaveState, target: WaveState, tensors?: readonly string[]): WaveState {
  if (tensors === undefined) return target;
  const elsewhere = new Map(state.tensors);
  const wanted = waveOf(target);
  for (const tensor of tensors) elsewhere.set(tensor, wanted(tensor));
  return stateOf(state.wave, elsewhere);
}

/** A state in its one form: tensors that stand where the rest does are not named. */
export function stateOf(wave: number, elsewhere: Iterable<TensorAtWave>): WaveState {
  const tensors = [...new Map(elsewhere)].filter(([, at]) => at !== wave);
  return { wave, tensors: tensors.sort(([left], [right]) => (left < right ? -1 : 1)) };
}

export function sameState(left: WaveState, right: WaveState): boolean {
  const isSame = ([tensor, wave]: TensorAtWave, index: number) =>
    right.tensors[index]?.[0] === tensor && right.tensors[index][1] === wave;
  return left.wave === right.wave && left.tensors.length === right.tensors.length && left.tensors.every(isSame);
}

/** What states are made of: a wave, the gate's verdict on it, and the tensors that it changes. */
export interface StateWave {
  readonly wave: number;
  readonly verdict: 'committed' | 'rolled-back';
  readonly layers: readonly { readonly name: string }[];
}

/** The waves that some tensor has in a state. */
export function wavesIn(state: WaveState, waves: readonly StateWave[]): Set<number> {
  const at = waveOf(state);
  const isIn = ({ wave, layers }: StateWave) =>
    layers.length === 0 ? wave <= state.wave : layers.some(({ name }) => wave <= at(name));
  return new Set(waves.filter((wave) => wave.verdict === 'committed' && isIn(wave)).map(({ wave }) => wave));
}

/**
 * A state in the one form that equal models share: each tensor at the last kept wave, only tensors that waves change, and
 * none where they all stand at the same wave.
 */
export function settled(state: WaveState, waves: readonly StateWave[]): WaveState {
  const committed = waves.filter(({ verdict }) => verdict === 'committed');
  const kept = committed.map(({ wave }) => wave);
  const lastKept = (wave: number) => kept.findLast((number) => number <= wave) ?? 0;
  if (state.tensors.length === 0) return stateAfter(lastKept(state.wave));
  const at = waveOf(state);
  const changed = [...new Set(committed.flatMap(({ layers }) => layers.map(({ name }) => name)))];
  const stands = changed.map((name): TensorAtWave => [name, lastKept(at(name))]);
  const [first] = stands;
  if (first !== undefined && stands.every(([, wave]) => wave === first[1])) return stateAfter(first[1]);
  return stateOf(lastKept(state.wave), stands);
}
