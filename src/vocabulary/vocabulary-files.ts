import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Checkpoint, type JsonObject, readJsonObject } from '../checkpoint/index.js';
import { folderOf } from '../model/index.js';
import { withNewIds } from './config-ids.js';
import { cutTokenizer, cutTokenizerConfig } from './cut-tokenizer.js';
import type { VocabularyFiles } from './plan.js';

/** As `loadTokenizer` allows: the largest tokenizer.json in use is about 35 MB. */
const MAX_FILE_BYTES = 128 * 2 ** 20;

/**
 * Reads the files that a vocabulary is cut by: those inside a checkpoint that has them, else those of its folder. Throws
 * `unreadable` for one that is missing or no JSON object; generation_config.json may be missing.
 */
export async function readVocabularyFiles(checkpoint: Checkpoint): Promise<VocabularyFiles> {
  const folder = await folderOf(checkpoint.path);
  const read = async (name: string): Promise<JsonObject> => {
    const inside = checkpoint.companions?.get(name);
    if (inside !== undefined) return JSON.parse(inside) as JsonObject;
    return readJsonObject(path.join(folder, name), { maxBytes: MAX_FILE_BYTES });
  };
  const generation = 'generation_config.json';
  const hasGeneration = checkpoint.companions?.has(generation) || existsSync(path.join(folder, generation));
  return {
    tokenizer: await read('tokenizer.json'),
    tokenizerConfig: await read('tokenizer_config.json'),
    config: await read('config.json'),
    ...(hasGeneration && { generationConfig: await read(generation) }),
    file: path.join(folder, 'tokenizer.json'),
  };
}

/** The texts of the files with the tokens that have a new id alone, by name; config.json is the cut model's own. */
export function cutVocabularyFiles(files: VocabularyFiles, newIds: Int32Array): ReadonlyMap<string, string> {
  const { tokenizer, tokenizerConfig, generationConfig } = files;
  const contents: [string, JsonObject][] = [
    ['tokenizer.json', cutTokenizer(tokenizer, newIds)],
    ['tokenizer_config.json', cutTokenizerConfig(tokenizerConfig, newIds)],
    ...(generationConfig === undefined
      ? []
      : [['generation_config.json', withNewIds(generationConfig, newIds)] as [string, JsonObject]]),
  ];
  return new Map(contents.map(([name, content]) => [name, `${JSON.stringify(content, undefined, 2)}\n`]));
}
