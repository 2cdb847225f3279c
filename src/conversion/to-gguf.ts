import path from 'node:path';
import type { GgufMetadata, GgufValue, JsonObject } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { describeModel, folderOf } from '../model/index.js';
import { asGguf, type CastTarget, licenseOfCard, tokenizerToGguf } from '../translation/index.js';
import type { ConvertOptions } from './conversion.js';
import { lostConfig, lostFiles, lostTokenizerConfig } from './lost.js';
import type { Prepared } from './prepared.js';
import { readFolderJson, readFolderText, readTokenizer, type Source } from './source.js';
import { storedTypes } from './stored-types.js';
import { checkNotices, checkTokenizer } from './tokenizer-check.js';
import { writeGguf } from './write-gguf.js';

/**
 * Prepares the writing of a GGUF from a Hugging Face model. Matrices keep their type or get the one that is asked for, norms and
 * biases are F32, as llama.cpp has them. Throws `unsupported` for an architecture or a tokenizer that llama.cpp would run
 * otherwise, `unreadable` where the folder lacks one.
 */
export async function prepareGguf(source: Source, options: ConvertOptions): Promise<Prepared> {
  const { checkpoint } = source;
  const folder = await folderOf(source.path);
  const inside = checkpoint.companions?.get('config.json');
  const config =
    inside === undefined ? await readFolderJson(folder, 'config.json') : (JSON.parse(inside) as JsonObject);
  if (config === undefined) throw cannot(source.path, `${folder} has no config.json that says what its tensors mean.`);
  const decoder = await describing(source.path, () =>
    describeModel(checkpoint, config, path.join(folder, 'config.json')),
  );
  const tokenizer = await readTokenizer(source.path);
  const { bosTokenId: bos, eosTokenIds: eos, vocabulary: rows } = decoder;
  const translated = tokenizerToGguf(tokenizer, { rows, eos, ...(bos !== undefined && { bos }) });
  const gguf = await describing(source.path, async () =>
    asGguf(checkpoint, decoder, path.basename(path.resolve(folder))),
  );
  const types = await storedTypes(gguf, gguf.gguf, options, ({ shape, dtype }) =>
    shape.length < 2 ? 'F32' : (options.dtype ?? widest(dtype)),
  );
  const { view } = types;
  const metadata: GgufMetadata = new Map<string, GgufValue>([
    ...gguf.gguf,
    ...(await licenseEntry(source)),
    ...types.metadata,
    ...translated.metadata,
  ]);
  const check = checkTokenizer(tokenizer, metadata, options.out);
  const stored = (name: string) => gguf.storedNames.get(name);
  return {
    to: 'gguf',
    view,
    storedDtype: (name) => checkpoint.tensors.get(stored(name) ?? '')?.dtype ?? view.tensors.get(name)!.dtype,
    lost: [
      ...(checkpoint.notices ?? []),
      ...types.notices,
      ...translated.notices,
      ...checkNotices(check),
      ...gguf.changed,
      ...gguf.leftOut.map((tensor) => `Tensor ${tensor} is left out: nothing reads it.`),
      ...lostConfig(config),
      ...lostTokenizerConfig(tokenizer.config),
      ...(await lostFiles(folder)),
    ],
    tokenizer: { texts: check.texts, differing: check.differing },
    write: (watch) => writeGguf(options.out, { view, order: gguf.order, metadata }, watch).finally(types.close),
  };
}

async function licenseEntry({ folder }: Source): Promise<[string, GgufValue][]> {
  const card = await readFolderText(folder, 'README.md');
  const license = card === undefined ? undefined : licenseOfCard(card);
  return license === undefined ? [] : [['general.license', { type: 'string', value: license }]];
}

/** llama.cpp computes with no matrix of doubles. */
function widest(dtype: string): CastTarget | undefined {
  return dtype === 'F64' ? 'F32' : undefined;
}

async function describing<T>(model: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BirdboneError) throw cannot(model, error.message, error);
    throw error;
  }
}

function cannot(model: string, reason: string, cause?: BirdboneError): BirdboneError {
  return new BirdboneError(cause?.code ?? 'unsupported', `${model} cannot be written as GGUF: ${reason}`, {
    file: cause?.file ?? model,
    ...(cause?.tensor !== undefined && { tensor: cause.tensor }),
    suggestions: ['Write its tensors as they are, as safetensors: --out with the name of a folder'],
    cause,
  });
}
