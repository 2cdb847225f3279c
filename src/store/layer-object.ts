import { z } from 'zod';
import { canonicalJson, quoted, unreadable } from '../checkpoint/index.js';
import { DTYPES, type Dtype } from '../tensor/index.js';
import { DELTA_KINDS, hasItsDigests } from './delta/format.js';
import { isObjectId, type ObjectId } from './object-id.js';
import type { ObjectStore } from './object-store.js';

/** 400 bytes a tensor: 100 000 tensors have 40 MB. */
const MAX_LAYER_BYTES = 128 * 1024 * 1024;

const id = z.string().refine(isObjectId, 'must be 64 hex digits');
const layerSchema = z.strictObject({
  /** 2 where tensors were added, which earlier versions do not know. */
  version: z.literal([1, 2]),
  wave: z.int().positive(),
  tensors: z.array(
    z.strictObject({
      name: z.string(),
      /** The delta; its header repeats what is said of it here. */
      object: id,
      /** Of the delta's file. */
      bytes: z.int().nonnegative(),
      kind: z.enum(DELTA_KINDS),
      dtype: z.string().refine((name): name is Dtype => Object.hasOwn(DTYPES, name)),
      shape: z.array(z.int().nonnegative()),
      before: id.optional(),
      after: id,
    }),
  ),
});

/** What one wave did: the tensors that it changed, in name order, and the delta of each. Stored as canonical JSON. */
export type LayerObject = z.output<typeof layerSchema>;
export type LayerEntry = LayerObject['tensors'][number];

/** The bytes under which a layer is stored: the same wave and tensors make the same. */
export function layerText({ wave, tensors }: Omit<LayerObject, 'version'>): Uint8Array {
  return Buffer.from(canonicalJson({ version: versionOf(tensors), wave, tensors }));
}

function versionOf(tensors: readonly LayerEntry[]): LayerObject['version'] {
  return tensors.some(({ kind }) => kind === 'added') ? 2 : 1;
}

/**
 * The layer object of this name. Throws `mismatch` when it is missing or damaged, `unreadable` when it is sound and no layer: a
 * digest says that nobody changed it, not that it was right.
 */
export async function readLayerObject(store: ObjectStore, object: ObjectId): Promise<LayerObject> {
  const file = store.fileOf(object);
  await store.verify(object);
  const size = (await store.sizeOf(object)) ?? 0;
  if (size > MAX_LAYER_BYTES) throw unreadable(file, `it has ${size} bytes, and a layer at most ${MAX_LAYER_BYTES}`);
  const layer = parseLayer(file, Buffer.from(await store.read(object, 0, size)).toString('utf8'));
  for (const [index, { name }] of layer.tensors.entries()) {
    const previous = layer.tensors[index - 1];
    if (previous !== undefined && previous.name >= name)
      throw unreadable(file, `tensor ${quoted(name)} is not after ${quoted(previous.name)}`, { tensor: name });
  }
  return layer;
}

function parseLayer(file: string, text: string): LayerObject {
  try {
    const layer = layerSchema.parse(JSON.parse(text));
    // One spelling only, so that a key twice cannot hide.
    if (canonicalJson(layer) !== text) throw new RangeError('it is not canonical');
    if (layer.version !== versionOf(layer.tensors)) throw new RangeError('its tensors are not of its version');
    if (!layer.tensors.every(hasItsDigests)) throw new RangeError('digests are not those of the kinds');
    return layer;
  } catch (cause) {
    throw unreadable(file, 'it is no layer of version 1 or 2', { cause });
  }
}
