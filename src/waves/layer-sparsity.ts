import { type Checkpoint, chunksOf, type Layer, type LayerPlan } from '../checkpoint/index.js';
import type { RemovedFrom } from '../pruning/index.js';
import { combineMasks, keptCount, type Mask, maskBytes } from '../sparsity/index.js';
import type { History, WaveJournalRecord } from '../state/index.js';
import { countZeros } from '../tensor/index.js';

/** Bytes read at a time where zeros have to be counted. */
const CHUNK_BYTES = 4 * 1024 * 1024;

/** What a wave has done to sparsity. */
export interface WaveSparsity {
  /** Of the whole step's tensors together. */
  readonly elements: number;
  readonly removed: number;
  /** Elements removed that were there before the wave. */
  readonly newlyRemoved: number;
  /** Of each tensor, parts of coded weights included. */
  readonly layers: WaveJournalRecord['layers'];
}

/**
 * The sparsity after a wave that removes weights: what the layers make of the tensors in its plan, beside what its waves before had
 * removed.
 */
export async function sparsityAfter(
  plan: LayerPlan,
  past: Pick<History, 'waves'>,
  { layers, seen }: { readonly layers: readonly Layer[]; readonly seen: Checkpoint },
): Promise<WaveSparsity> {
  const tensors = await removedBy(plannedTensors(plan), layers, seen);
  const { elements, removed } = totalOf(tensors);
  return {
    elements,
    removed,
    newlyRemoved: removed - removedBefore(past, tensors),
    layers: tensors.map((tensor) => ({ name: tensor.name, sparsity: tensor.removed / tensor.elements })),
  };
}

/**
 * The sparsity after a wave that stores what is there in another form: that of the wave before it, unless it says what it has `removed`
 * on the way. What it rounds to zero is not removed.
 */
export function sparsityKept(
  plan: LayerPlan,
  past: Pick<History, 'waves'>,
  removed: readonly RemovedFrom[] | undefined,
): WaveSparsity {
  if (removed !== undefined) {
    return {
      ...totalOf(removed),
      // What the wave costs is the rounding's as well: no weight is charged with it.
      newlyRemoved: 0,
      layers: removed.map((tensor) => ({ name: tensor.name, sparsity: tensor.removed / tensor.elements })),
    };
  }
  const kept = past.waves.filter(({ active }) => active);
  const { parameters = 0, of: elements = 0 } = kept.findLast((wave) => wave.removed !== undefined)?.removed ?? {};
  const last = new Map(kept.flatMap(({ layers }) => layers.map(({ name, sparsity }) => [name, sparsity] as const)));
  const layers = plannedTensors(plan).map(({ name }) => ({ name, sparsity: last.get(name) ?? 0 }));
  return { elements, removed: parameters, newlyRemoved: 0, layers };
}

/**
 * The sparsity after a wave that moves only weights that are not 0: the zeros of its tensors, those that the model came with among them. None
 * of them is the wave's doing.
 */
export async function sparsityFound(plan: LayerPlan, seen: Checkpoint): Promise<WaveSparsity> {
  const tensors: RemovedFrom[] = [];
  for (const { name, elements } of plannedTensors(plan)) {
    tensors.push({ name, elements, removed: await zerosIn(seen, name) });
  }
  return {
    ...totalOf(tensors),
    newlyRemoved: 0,
    layers: tensors.map(({ name, elements, removed }) => ({ name, sparsity: removed / elements })),
  };
}

/** The tensors that an edit may remove from, masked or replaced, and how many elements each has. */
function plannedTensors({ masks, values }: LayerPlan): { readonly name: string; readonly elements: number }[] {
  const replaced = values.map(({ name, shape }) => ({
    name,
    elements: shape.reduce((product, extent) => product * extent, 1),
  }));
  return [...masks, ...replaced];
}

/**
 * Counts what the layers remove together from each tensor. Of tensors that are only masked, the masks say it: a weight that an
 * earlier layer removed counts, whether or not a later one says so again. Of a tensor with replaced values its zeros count, in
 * `seen`, which is the base through these layers.
 */
export async function removedBy(
  tensors: readonly { readonly name: string; readonly elements: number }[],
  layers: readonly Layer[],
  seen: Checkpoint,
): Promise<RemovedFrom[]> {
  const counted: RemovedFrom[] = [];
  for (const { name, elements } of tensors) {
    const isReplaced = layers.some(({ values, xors, added }) => [values, xors, added].some((map) => map.has(name)));
    const removed = isReplaced ? await zerosIn(seen, name) : await maskedIn(name, elements, layers);
    counted.push({ name, elements, removed });
  }
  return counted;
}

/** Elements of all of them, and how many of those are removed. */
export function totalOf(tensors: readonly RemovedFrom[]): Omit<RemovedFrom, 'name'> {
  let elements = 0;
  let removed = 0;
  for (const tensor of tensors) {
    elements += tensor.elements;
    removed += tensor.removed;
  }
  return { elements, removed };
}

/** How many elements the waves that were kept before had removed from these tensors, as their records say. */
export function removedBefore({ waves }: Pick<History, 'waves'>, tensors: readonly RemovedFrom[]): number {
  const kept = waves.filter(({ active }) => active);
  const last = new Map(kept.flatMap(({ layers }) => layers.map(({ name, sparsity }) => [name, sparsity] as const)));
  return tensors.reduce((sum, { name, elements }) => sum + Math.round((last.get(name) ?? 0) * elements), 0);
}

async function maskedIn(name: string, elements: number, layers: readonly Layer[]): Promise<number> {
  const masks: Mask[] = [];
  for (const layer of layers) {
    if (layer.masks.has(name)) {
      masks.push({
        rows: 1,
        columns: elements,
        bits: await layer.readMask(name, { offset: 0, length: maskBytes(elements) }),
      });
    }
  }
  const [first, ...others] = masks;
  return first === undefined ? 0 : elements - keptCount(combineMasks(first, ...others));
}

async function zerosIn(seen: Checkpoint, name: string): Promise<number> {
  const { dtype } = seen.tensors.get(name)!;
  let zeros = 0;
  // Of types that have no zeros of their own (pairs, parts of bytes) nothing can have been removed.
  for await (const bytes of chunksOf(seen, name, CHUNK_BYTES)) zeros += countZeros(bytes, dtype) ?? 0;
  return zeros;
}
