import { type Checkpoint, ggufMetadata, writeCheckpoint, writeFolderWhole } from '../checkpoint/index.js';
import { asHuggingFace, type CastTarget, castView, TORCH_DTYPES, tokenizerOf } from '../translation/index.js';
import type { ConvertOptions } from './conversion.js';
import { lostMetadata } from './lost.js';
import type { Prepared } from './prepared.js';
import { readFolderText, type Source } from './source.js';

/**
 * Prepares the writing of a folder with safetensors: any checkpoint's tensors as they are, a GGUF as a Hugging Face model. Throws
 * `unsupported` for a GGUF that cannot be seen so, its tokenizer included.
 */
export async function prepareFolder(source: Source, options: ConvertOptions): Promise<Prepared> {
  const { checkpoint, isGguf, folder } = source;
  const { dtype, maxShardBytes } = options;
  // Throws what a notice would only tell: a folder with half a model in it helps nobody.
  if (isGguf) tokenizerOf(checkpoint);
  const huggingFace = isGguf ? await asHuggingFace(checkpoint) : undefined;
  const plain = huggingFace ?? withAliasesAsMetadata(checkpoint);
  const view = castView(plain, () => dtype);
  const config = plain.companions?.get('config.json') ?? (await readFolderText(folder, 'config.json'));
  const extraFiles = dtype === undefined || config === undefined ? {} : { 'config.json': withDtype(config, dtype) };
  return {
    to: 'safetensors',
    view,
    storedDtype: (name) => checkpoint.tensors.get(huggingFace?.storedNames.get(name) ?? name)!.dtype,
    lost: [
      ...(view.notices ?? []),
      ...(huggingFace === undefined ? [] : lostMetadata(ggufMetadata(checkpoint)!, huggingFace.companions)),
      ...(folder === undefined && !isGguf ? [ONLY_TENSORS] : []),
    ],
    write: ({ report, signal }) =>
      writeFolderWhole(options.out, (temporary) =>
        writeCheckpoint(view, temporary, {
          ...(folder !== undefined && { carryFrom: folder }),
          ...(maxShardBytes !== undefined && { maxShardBytes }),
          extraFiles,
          report,
          ...(signal && { signal }),
        }),
      ),
  };
}

const ONLY_TENSORS = 'Of a lone file only the tensors are written; name its folder to take config and tokenizer along.';

/** Where safetensors keeps aliases; and transformers loads no file that does not name a format. */
function withAliasesAsMetadata(checkpoint: Checkpoint): Checkpoint {
  if (checkpoint.format === 'safetensors') return checkpoint;
  return { ...checkpoint, metadata: { ...Object.fromEntries(checkpoint.aliases), format: 'pt' } };
}

/** Only the values change: the rest of the file stays as its author wrote it. */
function withDtype(config: string, dtype: CastTarget): string {
  return ['torch_dtype', 'dtype'].reduce((text, key) => withText(text, key, TORCH_DTYPES[dtype]), config);
}

/** JSON text whose key on the top level, where it has that key with a text, has another one. */
function withText(json: string, key: string, value: string): string {
  for (const { 0: found, 1: start, index } of json.matchAll(new RegExp(`("${key}"\\s*:\\s*)"[^"]*"`, 'g'))) {
    const changed = `${json.slice(0, index)}${start}"${value}"${json.slice(index + found.length)}`;
    // Part of a model may have a type of its own further in: that one is not meant.
    if (valueAt(changed, key) !== valueAt(json, key)) return changed;
  }
  return json;
}

function valueAt(json: string, key: string): unknown {
  return (JSON.parse(json) as Record<string, unknown>)[key];
}
