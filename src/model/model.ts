import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import {
  type Checkpoint,
  ggufMetadata,
  type JsonObject,
  openCheckpoint,
  readJsonObject,
  unreadableBecause,
} from '../checkpoint/index.js';
import { type CodedView, codedNames, decodedView } from '../coding/index.js';
import { BirdboneError } from '../errors.js';
import {
  hasQuantizedTensors,
  type KvScales,
  type QuantizedCheckpoint,
  readQuantized,
  saysQuantized,
} from '../layouts/index.js';
import { asHuggingFace } from '../translation/index.js';
import type { Decoder, LinearSpec, Model } from './decoder.js';
import { describeModel } from './describe.js';

/** A config.json is a few kilobytes; label tables of odd ones reach some hundred. */
const MAX_CONFIG_BYTES = 2 ** 20;

/**
 * Opens a model (a Hugging Face folder, one .safetensors file with config.json beside it, or a GGUF, which is seen as a Hugging
 * Face model) and reads what its tensors mean; coded weights are seen as dense ones. The caller closes `model.checkpoint`. Throws
 * `unreadable` and `unsupported` as `openCheckpoint`, `asHuggingFace`, `decodedView` and `describeModel` do.
 */
export async function openModel(checkpointPath: string): Promise<Model> {
  const stored = await openCheckpoint(checkpointPath);
  try {
    const model = await describedModel(await inHuggingFaceTerms(stored));
    return withCacheScales(model, cacheScalesOf(model.checkpoint));
  } catch (error) {
    await stored.close();
    throw error;
  }
}

/**
 * The model that a checkpoint in Hugging Face's terms holds, read from its headers and the config.json inside or beside it. Throws
 * as `describeModel` does.
 */
export async function describedModel(checkpoint: Checkpoint): Promise<Model> {
  const { companions, path: at } = checkpoint;
  const file = companions?.has('config.json') ? at : path.join(await folderOf(at), 'config.json');
  return { checkpoint, decoder: await describeModel(checkpoint, await configOf(checkpoint), file) };
}

async function inHuggingFaceTerms(checkpoint: Checkpoint): Promise<Checkpoint> {
  return ggufMetadata(checkpoint) === undefined ? withDenseWeights(checkpoint) : asHuggingFace(checkpoint);
}

/**
 * The checkpoint with quantized and otherwise coded weights as dense F32, and the same one where there are none: an engine's layout is
 * what the config.json beside it says. Throws as `readQuantized` and `decodedView` do.
 */
export async function withDenseWeights(checkpoint: Checkpoint): Promise<Checkpoint> {
  const native = hasQuantizedTensors(checkpoint) ? await inNativeForm(checkpoint) : checkpoint;
  return codedNames(native.tensors.keys()).length === 0 ? native : decodedView(native);
}

async function inNativeForm(checkpoint: Checkpoint): Promise<Checkpoint> {
  const file = path.join(await folderOf(checkpoint.path), 'config.json');
  if (!existsSync(file)) return checkpoint;
  const config = await readConfigFile(file);
  return saysQuantized(config) ? readQuantized(checkpoint, config, file) : checkpoint;
}

/** The scales of a cache of FP8 that an engine's layout has beside its weights, by block: coded ones, which a view decodes, or dense ones. */
function cacheScalesOf(checkpoint: Checkpoint & Partial<CodedView>): ReadonlyMap<number, KvScales> | undefined {
  const stored: Partial<QuantizedCheckpoint> = checkpoint.raw ?? checkpoint;
  return stored.extras?.kvScales;
}

/** The model as it is run with a cache of FP8 with these scales; the model itself where there are none. */
export function withCacheScales(model: Model, scales: ReadonlyMap<number, KvScales> | undefined): Model {
  if (scales === undefined) return model;
  const keyValueScales = model.decoder.blocks.map(({ index }) => {
    const { k, v } = scales.get(index) ?? { k: 1, v: 1 };
    return { key: k, value: v };
  });
  return { ...model, keyValueScales };
}

/** The config.json that a checkpoint holds inside, or that lies beside it, parsed. Throws `unreadable` as `readJsonObject` does. */
export async function configOf({ companions, path: at }: Checkpoint): Promise<JsonObject> {
  const own = companions?.get('config.json');
  if (own !== undefined) return JSON.parse(own) as JsonObject;
  return readConfigFile(path.join(await folderOf(at), 'config.json'));
}

/** A config.json, parsed. Throws `unreadable` as `readJsonObject` does. */
export function readConfigFile(file: string): Promise<JsonObject> {
  return readJsonObject(file, { maxBytes: MAX_CONFIG_BYTES, strict: true });
}

/**
 * Opens a checkpoint under Hugging Face's names where it can be seen so, as `openModel` does: for comparing a GGUF with what was
 * made from it. A GGUF of another architecture is opened as it is. Throws what `openCheckpoint` throws.
 */
export async function openComparable(checkpointPath: string): Promise<Checkpoint> {
  const stored = await openCheckpoint(checkpointPath);
  try {
    return await inHuggingFaceTerms(stored);
  } catch (error) {
    if (error instanceof BirdboneError && error.code === 'unsupported') return stored;
    await stored.close();
    throw error;
  }
}

/**
 * The same decoder over other weights: an overlay of the model's own checkpoint, which keeps names and shapes. A bias that it adds
 * to a linear which has none is that linear's.
 */
export function withCheckpoint(model: Model, checkpoint: Checkpoint): Model {
  return { decoder: withAddedBiases(model, checkpoint), checkpoint };
}

/** What a linear's bias is called beside its weight. */
export function biasNameOf({ weight, bias }: Pick<LinearSpec, 'weight' | 'bias'>): string {
  return bias ?? weight.replace(/\.weight$/, '.bias');
}

function withAddedBiases({ decoder, checkpoint: before }: Model, { tensors }: Checkpoint): Decoder {
  const isAdded = (linear: LinearSpec) => {
    const name = biasNameOf(linear);
    return linear.bias === undefined && tensors.has(name) && !before.tensors.has(name);
  };
  if (!decoder.blocks.some(({ linears }) => linears.some(isAdded))) return decoder;
  const blocks = decoder.blocks.map((block) => ({
    ...block,
    linears: block.linears.map((linear) => (isAdded(linear) ? { ...linear, bias: biasNameOf(linear) } : linear)),
  }));
  return { ...decoder, blocks };
}

/** The folder that holds a checkpoint's config and tokenizer: the path itself, or where the single file lies. */
export async function folderOf(checkpointPath: string): Promise<string> {
  const found = await stat(checkpointPath).catch((cause: unknown) => {
    throw unreadableBecause(checkpointPath, cause);
  });
  return found.isDirectory() ? checkpointPath : path.dirname(checkpointPath);
}
