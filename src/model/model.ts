import { stat } from 'node:fs/promises';
import path from 'node:path';
import { type Checkpoint, ggufMetadata, type JsonObject, openCheckpoint, readJsonObject } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { asHuggingFace } from '../translation/index.js';
import type { Model } from './decoder.js';
import { describeModel } from './describe.js';

/** A config.json is a few kilobytes; label tables of odd ones reach some hundred. */
const MAX_CONFIG_BYTES = 2 ** 20;

/**
 * Opens a model (a Hugging Face folder, one .safetensors file with config.json beside it, or a GGUF, which is seen as a Hugging
 * Face model) and reads what its tensors mean. The caller closes `model.checkpoint`. Throws `unreadable` and `unsupported` as
 * `openCheckpoint`, `asHuggingFace` and `describeModel` do.
 */
export async function openModel(checkpointPath: string): Promise<Model> {
  const stored = await openCheckpoint(checkpointPath);
  try {
    const checkpoint = await inHuggingFaceTerms(stored);
    const file = checkpoint.companions ? checkpointPath : path.join(await folderOf(checkpointPath), 'config.json');
    return { checkpoint, decoder: await describeModel(checkpoint, await configOf(checkpoint, file), file) };
  } catch (error) {
    await stored.close();
    throw error;
  }
}

async function inHuggingFaceTerms(checkpoint: Checkpoint): Promise<Checkpoint> {
  return ggufMetadata(checkpoint) === undefined ? checkpoint : asHuggingFace(checkpoint);
}

async function configOf(checkpoint: Checkpoint, file: string): Promise<JsonObject> {
  const own = checkpoint.companions?.get('config.json');
  if (own !== undefined) return JSON.parse(own) as JsonObject;
  return readConfigFile(file);
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

/** The same decoder over other weights: an overlay of the model's own checkpoint, which keeps names and shapes. */
export function withCheckpoint(model: Model, checkpoint: Checkpoint): Model {
  return { ...model, checkpoint };
}

/** The folder that holds a checkpoint's config and tokenizer: the path itself, or where the single file lies. */
export async function folderOf(checkpointPath: string): Promise<string> {
  const found = await stat(checkpointPath).catch((cause: Error) => {
    throw new BirdboneError('unreadable', `Cannot read ${checkpointPath}: ${cause.message}.`, {
      file: checkpointPath,
      cause,
    });
  });
  return found.isDirectory() ? checkpointPath : path.dirname(checkpointPath);
}
