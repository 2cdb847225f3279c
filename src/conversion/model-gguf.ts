import path from 'node:path';
import type { Checkpoint, GgufMetadata, GgufValue, JsonObject } from '../checkpoint/index.js';
import type { Model } from '../model/index.js';
import { asGguf, castView, licenseOfCard, type TokenizerDefinition, tokenizerToGguf } from '../translation/index.js';
import { fileType } from './file-type.js';
import { readFolderText, readTokenizer } from './source.js';
import { checkNotices, checkTokenizer } from './tokenizer-check.js';
import type { GgufContent } from './write-gguf.js';

/** llama.cpp's version of its block types. Source: ggml-org/ggml, include/ggml.h (`GGML_QNT_VERSION`). */
const QUANTIZATION_VERSION = 2;

/** What goes into a GGUF, and what a user should know of it. */
export interface ModelGguf extends GgufContent {
  readonly notices: readonly string[];
}

/**
 * A model as the GGUF that holds it: matrices as they are stored (blocks included), vectors as F32. `folder` is where the tokenizer and
 * the model card lie, unless the checkpoint has them inside. Throws `unsupported` for what llama.cpp would run otherwise.
 */
export async function modelAsGguf(
  { checkpoint, decoder }: Model,
  { folder, file }: { readonly folder: string; readonly file: string },
): Promise<ModelGguf> {
  const tokenizer = await tokenizerOf(checkpoint, folder);
  const { bosTokenId: bos, eosTokenIds: eos, vocabulary: rows } = decoder;
  const translated = tokenizerToGguf(tokenizer, { rows, eos, ...(bos !== undefined && { bos }) });
  const gguf = asGguf(checkpoint, decoder, nameOf(folder));
  const view = vectorsAsF32(gguf);
  const card = await readFolderText(folder, 'README.md');
  const license = card === undefined ? undefined : licenseOfCard(card);
  const metadata: GgufMetadata = new Map<string, GgufValue>([
    ...gguf.gguf,
    ...(license === undefined ? [] : [['general.license', { type: 'string', value: license }] as const]),
    ['general.quantization_version', { type: 'u32', value: QUANTIZATION_VERSION }],
    ['general.file_type', { type: 'u32', value: fileType(view.tensors.values()) }],
    ...translated.metadata,
  ]);
  const notices = [
    ...translated.notices,
    ...checkNotices(checkTokenizer(tokenizer, metadata, file)),
    ...gguf.changed,
    ...gguf.leftOut.map((tensor) => `Tensor ${tensor} is left out: nothing reads it.`),
  ];
  return { view, order: gguf.order, metadata, notices };
}

function vectorsAsF32(gguf: Checkpoint) {
  return castView(gguf, ({ shape, dtype }) => (shape.length < 2 || dtype === 'F64' ? 'F32' : undefined));
}

/** The folder's name, or that of a single file without its ending. */
function nameOf(folder: string): string {
  return path.basename(path.resolve(folder)).replace(/\.(?:gguf|safetensors)$/i, '');
}

/** The tokenizer inside a checkpoint, or beside it. */
async function tokenizerOf({ companions }: Checkpoint, folder: string): Promise<TokenizerDefinition> {
  const definition = companions?.get('tokenizer.json');
  if (definition === undefined) return readTokenizer(folder);
  const config = companions?.get('tokenizer_config.json') ?? '{}';
  const chatTemplate = companions?.get('chat_template.jinja') ?? (await readFolderText(folder, 'chat_template.jinja'));
  return {
    definition: JSON.parse(definition) as JsonObject,
    config: JSON.parse(config) as JsonObject,
    file: path.join(folder, 'tokenizer.json'),
    ...(chatTemplate !== undefined && { chatTemplate }),
  };
}
