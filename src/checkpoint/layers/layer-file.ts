import { z } from 'zod';
import type { Checkpoint, TensorInfo } from '../checkpoint.js';
import { FileSource } from '../files/bytes.js';
import { unreadable } from '../files/failure.js';
import { quoted } from '../files/quote.js';
import { safetensors } from '../safetensors/safetensors.js';
import { SafetensorsWriter } from '../safetensors/writer.js';
import type { Layer, LayerMask, LayerPlan, LayerWriter } from './layer.js';

/** Marks a safetensors file as a layer, by the version of this layout. */
const VERSION_KEY = 'birdbone.layer';
const VERSION = '1';
/** JSON: `[tensor, elements]` of each mask, which is stored under the tensor's name as U8 bits. The other tensors are values. */
const MASKS_KEY = 'birdbone.masks';
const maskListSchema = z.array(z.tuple([z.string(), z.int().nonnegative()]));

/** A layer file under way. */
export interface LayerFileWriter extends LayerWriter {
  /** Puts the layer in its place, on disk when this returns, and returns the digest of its file in hex. */
  commit(): Promise<{ readonly sha256: string }>;
  /** Leaves nothing behind. */
  abort(): Promise<void>;
}

/** Begins a layer file; the same plan, bits and bytes make the same file. Throws `unwritable`. */
export async function createLayer(
  file: string,
  plan: LayerPlan,
  metadata: Readonly<Record<string, string>>,
): Promise<LayerFileWriter> {
  const masks = plan.masks.map(({ name, elements }): TensorInfo => {
    const byteLength = Math.ceil(elements / 8);
    return { name, dtype: 'U8', shape: [byteLength], byteLength };
  });
  const isMask = new Set(masks.map(({ name }) => name));
  const list = plan.masks.map(({ name, elements }): [string, number] => [name, elements]);
  const writer = await SafetensorsWriter.create(file, [...masks, ...plan.values], {
    ...metadata,
    [VERSION_KEY]: VERSION,
    [MASKS_KEY]: JSON.stringify(list.sort(([left], [right]) => (left < right ? -1 : 1))),
  });
  return {
    async writeMask(name, bits) {
      if (!isMask.has(name)) throw new RangeError(`${file} has no mask for ${name}.`);
      await writer.write(name, 0, bits);
    },
    async writeValues(name, offset, bytes) {
      if (isMask.has(name)) throw new RangeError(`${file} has a mask for ${name}, not values.`);
      await writer.write(name, offset, bytes);
    },
    async commit() {
      const sha256 = await writer.digest();
      await writer.commit();
      return { sha256 };
    },
    abort: () => writer.abort(),
  };
}

/** Opens a layer file. Throws `unreadable` for any other file, and for one whose list of masks does not fit its tensors. */
export async function openLayer(file: string): Promise<Layer> {
  const source = await FileSource.open(file);
  try {
    const stored = await safetensors.open(source);
    if (stored.metadata[VERSION_KEY] !== VERSION) throw unreadable(file, `it is no layer of version ${VERSION}`);
    const masks = masksOf(file, stored);
    return {
      path: file,
      masks,
      xors: new Map(),
      values: new Map([...stored.tensors].filter(([name]) => !masks.has(name))),
      readMask: (name, range) => stored.read(name, range),
      readDifference: async (name) => {
        throw new RangeError(`A layer file has not kept what it removed from ${name}.`);
      },
      readValues: (name, range) => stored.read(name, range),
      close: () => stored.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

function masksOf(file: string, stored: Checkpoint): Map<string, LayerMask> {
  const masks = new Map<string, LayerMask>();
  for (const [name, elements] of maskListOf(file, stored)) {
    const info = stored.tensors.get(name);
    if (info?.dtype !== 'U8' || info.byteLength !== Math.ceil(elements / 8) || masks.has(name)) {
      const problem = `its list has a mask of ${elements} bits for ${quoted(name)}, and its tensors do not`;
      throw unreadable(file, problem, { tensor: name });
    }
    masks.set(name, { byteLength: info.byteLength, elements });
  }
  return masks;
}

function maskListOf(file: string, stored: Checkpoint): z.infer<typeof maskListSchema> {
  try {
    return maskListSchema.parse(JSON.parse(stored.metadata[MASKS_KEY] ?? ''));
  } catch (cause) {
    throw unreadable(file, `its list of masks (${MASKS_KEY}) is damaged`, { cause });
  }
}
