import {
  elementsOf,
  type Layer,
  type LayerMask,
  type ReadRange,
  type TensorInfo,
  unreadable,
} from '../checkpoint/index.js';
import { DTYPES } from '../tensor/index.js';
import { ChunkCache } from './chunk-cache.js';
import { DeltaReader } from './delta/delta-reader.js';
import { usedBits } from './delta/elements.js';
import { CHUNK_ELEMENTS } from './delta/format.js';
import { type LayerEntry, readLayerObject } from './layer-object.js';
import type { ObjectId } from './object-id.js';
import type { ObjectStore } from './object-store.js';

/** A wave's layer in a store. */
export interface StoredLayer extends Layer {
  readonly wave: number;
  /** What the wave changed, and the digests of each tensor before and after it. */
  readonly entries: ReadonlyMap<string, LayerEntry>;
}

/**
 * Opens a wave's layer: its list is read, each delta when it is first needed, a chunk at a time, its digest verified. Nothing is
 * held open. Layers that are read together share a cache. Throws `mismatch` for what is missing or damaged, here or when
 * reading; `unreadable` for what is sound and breaks the format's rules.
 */
export async function openStoredLayer(
  store: ObjectStore,
  object: ObjectId,
  cache = new ChunkCache(),
): Promise<StoredLayer> {
  const { wave, tensors } = await readLayerObject(store, object);
  const entries = new Map(tensors.map((entry) => [entry.name, entry]));
  const chunks = new LayerChunks(store, entries, cache);
  const infos = (kind: LayerEntry['kind']) => {
    const chosen = tensors.filter((entry) => entry.kind === kind);
    return new Map(chosen.map((entry): [string, TensorInfo] => [entry.name, infoOf(entry)]));
  };
  return {
    path: `the layer of wave ${wave} (${store.fileOf(object)})`,
    wave,
    entries,
    masks: new Map([...infos('mask')].map(([name, { shape }]) => [name, maskOf(elementsOf(shape))])),
    xors: infos('xor'),
    values: infos('whole'),
    added: infos('added'),
    readMask: (name, range) => chunks.read(name, 'kept', range),
    readDifference: (name, range) => chunks.read(name, 'difference', range),
    readValues: (name, range) => chunks.read(name, 'values', range, range.into),
    async close() {},
  };
}

/** Opens a delta, and sees to it that it is the one that the layer means. Throws as `openStoredLayer` does. */
export async function openDelta(store: ObjectStore, entry: LayerEntry): Promise<DeltaReader> {
  const path = store.fileOf(entry.object);
  await store.verify(entry.object);
  const size = (await store.sizeOf(entry.object)) ?? 0;
  const delta = await DeltaReader.open({ path, size, read: (...range) => store.read(entry.object, ...range) });
  const [found, expected] = [delta.header, entry].map(({ kind, dtype, shape, before, after }) =>
    [kind, dtype, shape.join(), before, after].join(' '),
  );
  if (found !== expected) throw unreadable(path, 'it is not the delta that its layer names', { tensor: entry.name });
  return delta;
}

type Piece = 'kept' | 'difference' | 'values';

/** Ranges of a layer's tensors, put together from decoded chunks; new values of whole chunks go where they are wanted, past the cache. */
class LayerChunks {
  readonly #store: ObjectStore;
  readonly #entries: ReadonlyMap<string, LayerEntry>;
  readonly #cache: ChunkCache;
  readonly #deltas = new Map<string, Promise<DeltaReader>>();

  constructor(store: ObjectStore, entries: ReadonlyMap<string, LayerEntry>, cache: ChunkCache) {
    this.#store = store;
    this.#entries = entries;
    this.#cache = cache;
  }

  async read(
    name: string,
    piece: Piece,
    { offset, length }: Pick<ReadRange, 'offset' | 'length'>,
    into: Uint8Array = new Uint8Array(length),
  ): Promise<Uint8Array> {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new RangeError(`The layer does not change ${name}.`);
    const chunkBytes = CHUNK_ELEMENTS * (piece === 'kept' ? 1 / 8 : DTYPES[entry.dtype].bits / 8);
    const bytes = into.subarray(0, length);
    for (let done = 0; done < length; ) {
      const chunk = Math.floor((offset + done) / chunkBytes);
      const within = offset + done - chunk * chunkBytes;
      const rest = bytes.subarray(done, done + chunkBytes - within);
      const isWhole = within === 0 && (rest.length === chunkBytes || offset + length === byteLengthOf(entry));
      const part =
        isWhole && piece === 'values'
          ? await (await this.#delta(entry)).values(chunk, rest)
          : (await this.#piece(entry, piece, chunk)).subarray(within, within + rest.length);
      if (part.length === 0) throw new RangeError(`Bytes ${offset} + ${length} are not within ${name}.`);
      if (part.buffer !== bytes.buffer) bytes.set(part, done);
      done += part.length;
    }
    return bytes;
  }

  #piece(entry: LayerEntry, piece: Piece, chunk: number): Promise<Uint8Array> {
    return this.#cache.get(`${entry.object} ${piece} ${chunk}`, async () => {
      const delta = await this.#delta(entry);
      if (piece === 'difference') return delta.difference(chunk);
      if (piece === 'values') return delta.values(chunk);
      return keptOf(await delta.removedBits(chunk), delta.geometry.countIn(chunk));
    });
  }

  #delta(entry: LayerEntry): Promise<DeltaReader> {
    const opened = this.#deltas.get(entry.name) ?? openDelta(this.#store, entry);
    this.#deltas.set(entry.name, opened);
    return opened;
  }
}

function keptOf(removed: Uint8Array, count: number): Uint8Array {
  return removed.map((byte, index) => ~byte & usedBits(index, count));
}

function maskOf(elements: number): LayerMask {
  return { byteLength: Math.ceil(elements / 8), elements };
}

function infoOf({ name, dtype, shape }: LayerEntry): TensorInfo {
  return { name, dtype, shape, byteLength: byteLengthOf({ dtype, shape }) };
}

function byteLengthOf({ dtype, shape }: Pick<LayerEntry, 'dtype' | 'shape'>): number {
  return (elementsOf(shape) * DTYPES[dtype].bits) / 8;
}
