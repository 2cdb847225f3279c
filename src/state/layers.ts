import { BirdboneError } from '../errors.js';
import { type ObjectId, ObjectStore, readLayerObject } from '../store/index.js';
import { type History, referencedWaves } from './history.js';
import type { StateFolder } from './state-folder.js';
import type { WaveJournalRecord } from './wave-record.js';

type LayerOfWave = Pick<WaveJournalRecord, 'wave' | 'layer'>;

/** An object that a wave needs: its layer, or the delta of one tensor. */
export interface NeededObject {
  readonly id: ObjectId;
  readonly wave: number;
  /** Of a delta. */
  readonly tensor?: string;
  /** Of a delta's file, as its layer says. */
  readonly bytes?: number;
}

/** Every object that a wave needs, the layer first. Throws `mismatch` when the layer is gone or damaged. */
export async function* objectsOf(
  store: ObjectStore,
  { wave, layer }: LayerOfWave,
): AsyncGenerator<NeededObject, void, undefined> {
  yield { id: layer.sha256, wave };
  const { tensors } = await readLayerObject(store, layer.sha256);
  for (const { object, name, bytes } of tensors) yield { id: object, wave, tensor: name, bytes };
}

/** Throws `mismatch` when anything that one of these waves needs is gone, or is not byte for byte what was stored. */
export async function verifyLayers(folder: StateFolder, waves: readonly LayerOfWave[]): Promise<void> {
  const store = new ObjectStore(folder.objects);
  for (const wave of waves) {
    try {
      for await (const { id } of objectsOf(store, wave)) await store.verify(id);
    } catch (error) {
      throw error instanceof BirdboneError && error.code === 'mismatch' ? lost(wave, error) : error;
    }
  }
}

/** The objects that the referenced waves need (`referencedWaves`). Throws `mismatch` when one of them is gone. */
export async function referencedObjects(store: ObjectStore, past: History): Promise<ReadonlySet<ObjectId>> {
  const waves = referencedWaves(past);
  const referenced = new Set<ObjectId>();
  for (const wave of past.waves) {
    if (waves.has(wave.wave)) for (const id of await presentObjects(store, wave)) referenced.add(id);
  }
  return referenced;
}

/** Throws `mismatch` when anything that one of these waves needs is gone, as after a `gc` that was killed; reads no deltas. */
export async function requireLayers(folder: StateFolder, waves: readonly LayerOfWave[]): Promise<void> {
  const store = new ObjectStore(folder.objects);
  for (const wave of waves) await presentObjects(store, wave);
}

async function presentObjects(store: ObjectStore, wave: LayerOfWave): Promise<ObjectId[]> {
  const present: ObjectId[] = [];
  try {
    for await (const { id, bytes } of objectsOf(store, wave)) {
      const size = await store.sizeOf(id);
      if (size === undefined || size !== (bytes ?? size)) await store.verify(id);
      present.push(id);
    }
  } catch (error) {
    throw error instanceof BirdboneError && error.code === 'mismatch' ? lost(wave, error) : error;
  }
  return present;
}

/**
 * Removes a layer that was not kept, but for what other waves need too. Only for whoever holds the lock: no other process may
 * be about to refer to the same objects.
 */
export async function discardLayer(folder: StateFolder, past: History, layer: ObjectId): Promise<void> {
  const store = new ObjectStore(folder.objects);
  const referenced = await referencedObjects(store, past);
  const { tensors } = await readLayerObject(store, layer);
  for (const id of [layer, ...tensors.map(({ object }) => object)]) if (!referenced.has(id)) await store.remove(id);
}

function lost({ wave }: LayerOfWave, cause: BirdboneError): BirdboneError {
  return new BirdboneError('mismatch', `The layer of wave ${wave} is not what the journal says. ${cause.message}`, {
    ...(cause.file !== undefined && { file: cause.file }),
    cause,
    suggestions: ['See what is affected: birdbone check', 'Restore the file from a copy, or prune anew: --restart'],
  });
}
