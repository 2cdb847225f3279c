import { stat } from 'node:fs/promises';
import path from 'node:path';
import { type Checkpoint, openCheckpoint, readJsonObject } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { Model } from './decoder.js';
import { describeModel } from './describe.js';

/** A config.json is a few kilobytes; label tables of odd ones reach some hundred. */
const MAX_CONFIG_BYTES = 2 ** 20;

/**
 * Opens a checkpoint (a Hugging Face folder, or one .safetensors file with config.json beside it) and reads what its
 * tensors mean. The caller closes `model.checkpoint`. Throws `unreadable` and `unsupported` as `openCheckpoint` and
 * `describeModel` do.
 */
export async function openModel(checkpointPath: string): Promise<Model> {
  const checkpoint = await openCheckpoint(checkpointPath);
  try {
    const file = path.join(await folderOf(checkpointPath), 'config.json');
    const config = await readJsonObject(file, { maxBytes: MAX_CONFIG_BYTES, strict: true });
    return { checkpoint, decoder: await describeModel(checkpoint, config, file) };
  } catch (error) {
    await checkpoint.close();
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
