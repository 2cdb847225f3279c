import { beginTensorDigest, type Checkpoint, type Layer, type TensorInfo } from '../checkpoint/index.js';
import { DeltaWriter } from './delta/delta-writer.js';
import { newlyRemoved, takeElements } from './delta/elements.js';
import { CHUNK_ELEMENTS, geometryOf } from './delta/format.js';
import type { LayerEntry } from './layer-object.js';
import type { ObjectStore } from './object-store.js';

/** The state that a wave changes: the model before it, and the layers that are in that state, oldest first. */
export interface StateBefore {
  readonly checkpoint: Checkpoint;
  readonly layers: readonly Layer[];
  /** Digests of its tensors, of those where they are known: these are not read for that alone. */
  readonly digests?: ReadonlyMap<string, string>;
}

/**
 * Stores what a mask does to one tensor: the elements that it removes anew and their values, taken from the state before it.
 * Undefined when it removes nothing. Throws `unwritable`, and what reading throws.
 */
export async function storeMask(
  store: ObjectStore,
  before: StateBefore,
  { info, bits }: { readonly info: TensorInfo; readonly bits: Uint8Array },
): Promise<LayerEntry | undefined> {
  const { name, dtype, shape } = info;
  const { planes: elementBytes, chunks, countIn } = geometryOf({ kind: 'mask', dtype, shape });
  const digests = { before: beginTensorDigest(info), after: beginTensorDigest(info) };
  const writer = await DeltaWriter.create(store, info, 'mask');
  let removes = false;
  let packing = Promise.resolve();
  try {
    for (let chunk = 0; chunk < chunks; chunk += 1) {
      const first = chunk * CHUNK_ELEMENTS;
      const count = countIn(chunk);
      const bytes = await before.checkpoint.read(name, { offset: first * elementBytes, length: count * elementBytes });
      digests.before.update(bytes);
      const range = { offset: first / 8, length: Math.ceil(count / 8) };
      const mask = bits.subarray(range.offset, range.offset + range.length);
      const earlier = await keptSoFar(before.layers, name, range);
      const removed = newlyRemoved({ before: bytes, elementBytes, mask, earlier });
      const values = takeElements(bytes, removed, elementBytes);
      digests.after.update(bytes);
      removes ||= values[0]!.length > 0;
      // Compressing one chunk goes on in other threads while the next is read and hashed.
      await packing;
      packing = writer.addChunk([removed, ...values]);
      packing.catch(() => {});
    }
    await packing;
    if (!removes) return undefined;
    const [digestBefore, digestAfter] = [digests.before.digest('hex'), digests.after.digest('hex')];
    const { id, bytes } = await writer.commit({ before: digestBefore, after: digestAfter });
    return {
      name,
      object: id,
      bytes,
      kind: 'mask',
      dtype,
      shape: [...shape],
      before: digestBefore,
      after: digestAfter,
    };
  } finally {
    await packing.catch(() => {});
    await writer.abort();
  }
}

/** The bits that every mask over a tensor has left since all of it was last replaced. */
async function keptSoFar(
  layers: readonly Layer[],
  name: string,
  range: { readonly offset: number; readonly length: number },
): Promise<Uint8Array> {
  const kept = new Uint8Array(range.length).fill(0xff);
  const replacedBy = layers.findLastIndex(({ values, added }) => values.has(name) || added.has(name));
  for (const layer of layers.slice(replacedBy + 1)) {
    if (!layer.masks.has(name)) continue;
    const bits = await layer.readMask(name, range);
    for (let index = 0; index < kept.length; index += 1) kept[index]! &= bits[index]!;
  }
  return kept;
}
