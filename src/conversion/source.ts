import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Checkpoint, ggufMetadata, type JsonObject, openCheckpoint, readJsonFile } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { folderOf, withDenseWeights } from '../model/index.js';
import type { TokenizerDefinition } from '../translation/index.js';

/** What is to be converted, opened. */
export interface Source {
  readonly path: string;
  readonly checkpoint: Checkpoint;
  readonly isGguf: boolean;
  /** The folder that was named; undefined for a lone file, with which nothing goes along by itself. */
  readonly folder: string | undefined;
}

/** Opens a model to convert, quantized weights as dense ones; a GGUF as it is. The caller closes `checkpoint`. */
export async function openSource(model: string): Promise<Source> {
  const stored = await openCheckpoint(model);
  try {
    const folder = (await stat(model)).isDirectory() ? model : undefined;
    const isGguf = ggufMetadata(stored) !== undefined;
    return { path: model, checkpoint: isGguf ? stored : await withDenseWeights(stored), isGguf, folder };
  } catch (error) {
    await stored.close();
    throw error;
  }
}

/** The largest tokenizer.json in use is about 35 MB. */
const MAX_TOKENIZER_BYTES = 128 * 2 ** 20;
const MAX_CONFIG_BYTES = 16 * 2 ** 20;

/** The JSON object in a file of a folder; undefined when there is no such file. */
export async function readFolderJson(folder: string, name: string): Promise<JsonObject | undefined> {
  const maxBytes = name === 'tokenizer.json' ? MAX_TOKENIZER_BYTES : MAX_CONFIG_BYTES;
  const found = await readJsonFile(path.join(folder, name), { maxBytes });
  const value = found?.value;
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

/** A text file of a folder; undefined where there is no folder, no such file, or one too large for what it is. */
export async function readFolderText(folder: string | undefined, name: string): Promise<string | undefined> {
  if (folder === undefined) return undefined;
  const file = path.join(folder, name);
  const status = await stat(file).catch(() => undefined);
  return status?.isFile() && status.size <= MAX_CONFIG_BYTES ? readFile(file, 'utf8') : undefined;
}

/** The tokenizer beside a model's weights. Throws `unreadable` when there is none: llama.cpp loads no model without. */
export async function readTokenizer(model: string): Promise<TokenizerDefinition> {
  const folder = await folderOf(model);
  const file = path.join(folder, 'tokenizer.json');
  const definition = await readFolderJson(folder, 'tokenizer.json');
  if (definition === undefined) {
    throw new BirdboneError('unreadable', `${folder} has no tokenizer.json, and a GGUF needs a tokenizer.`, {
      file,
      suggestions: ['Put the tokenizer.json of the model beside its weights.'],
    });
  }
  const config = (await readFolderJson(folder, 'tokenizer_config.json')) ?? {};
  // Since transformers 4.50 the template has a file of its own.
  const chatTemplate = await readFolderText(folder, 'chat_template.jinja');
  return { definition, config, file, ...(chatTemplate !== undefined && { chatTemplate }) };
}
