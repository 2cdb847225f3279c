import {
  type Checkpoint,
  elementsOf,
  type GgufMetadata,
  ggufMetadata,
  quoted,
  readFloats,
} from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { findName, type GgufArchitecture, nameOf } from './architecture.js';
import { architectureOfGguf } from './architectures.js';
import { blockSizes } from './block-sizes.js';
import { type Config, configFromGguf, unusableTensor } from './config-from-gguf.js';
import { dequantized } from './dequantized.js';
import { type Llama3Scaling, recoverScaling } from './llama3-rope.js';
import { MetadataReader } from './metadata-reader.js';
import { cardOfGguf } from './model-card.js';
import { type TokenizerFiles, tokenizerFromGguf } from './tokenizer/from-gguf.js';
import { readVocabulary } from './tokenizer/vocabulary.js';
import { torchDtypeOf } from './torch-dtype.js';
import { renamedView, type ViewedTensor } from './view.js';

/** Llama 3's frequency factors: in Hugging Face's folders they are four numbers in config.json. */
export const ROPE_FACTORS = 'rope_freqs.weight';

/** A GGUF seen as a Hugging Face model. */
export interface HuggingFaceView extends Checkpoint {
  /** config.json, tokenizer.json and tokenizer_config.json where the tokenizer could be translated, a README.md with its licence. */
  readonly companions: ReadonlyMap<string, string>;
  /** Hugging Face's name → the name in the file. */
  readonly storedNames: ReadonlyMap<string, string>;
}

/**
 * A GGUF seen as a Hugging Face model: its tensors under the names that transformers gives them, query and key rows in its order,
 * blocks as F32, and as `companions` the files that a folder would have. A tokenizer that cannot be translated is left out, with
 * a notice. Closing it closes the source.
 *
 * Throws `unsupported` for an architecture, a tensor or a setting without a counterpart, `unreadable` for metadata that are
 * missing or contradict the tensors.
 */
export async function asHuggingFace(gguf: Checkpoint): Promise<HuggingFaceView> {
  const reader = readerOf(gguf);
  const name = reader.required('general.architecture', reader.text('general.architecture'));
  const architecture = architectureOfGguf(name, gguf.path);
  const storedNames = huggingFaceNames(gguf, architecture);
  const config = await readConfig(gguf, reader, architecture);
  const tokenizer = tryTokenizer(reader, config.max_position_embeddings);
  const card = cardOfGguf(reader);
  return {
    ...renamedView(dequantized(gguf), withRowOrder(gguf, storedNames, { architecture, config })),
    // transformers loads no safetensors file that does not say so.
    metadata: { format: 'pt' },
    notices: [...(gguf.notices ?? []), ...tokenizer.notices],
    companions: new Map([
      ['config.json', `${JSON.stringify(config, undefined, 2)}\n`],
      ...tokenizer.files,
      ...(card === undefined ? [] : [['README.md', card] as const]),
    ]),
    storedNames,
  };
}

/** The tokenizer of a GGUF as a folder has it; undefined where it has none. Throws as `tokenizerFromGguf`. */
export function tokenizerOf(gguf: Checkpoint): TokenizerFiles | undefined {
  return tokenizerOfMetadata(readerOf(gguf).metadata, gguf.path);
}

/** As `tokenizerOf`, of the metadata of a file that is yet to be written. */
export function tokenizerOfMetadata(metadata: GgufMetadata, file: string): TokenizerFiles | undefined {
  const reader = new MetadataReader(metadata, file);
  const architecture = reader.text('general.architecture') ?? '';
  return readTokenizer(reader, reader.integer(`${architecture}.context_length`) ?? 0);
}

function readerOf(gguf: Checkpoint): MetadataReader {
  const metadata: GgufMetadata | undefined = ggufMetadata(gguf);
  if (metadata === undefined) throw new RangeError(`${gguf.path} is no GGUF.`);
  return new MetadataReader(metadata, gguf.path);
}

function huggingFaceNames(gguf: Checkpoint, architecture: GgufArchitecture): Map<string, string> {
  const names = new Map<string, string>();
  for (const stored of gguf.tensors.keys()) {
    if (stored === ROPE_FACTORS && architecture.hasRopeFactors) continue;
    const found = findName(architecture, 'gguf', stored);
    if (found !== undefined) {
      names.set(nameOf(found, 'huggingFace'), stored);
      continue;
    }
    const message = `${gguf.path} has a tensor ${quoted(stored)}, which no ${architecture.name} model of Hugging Face's has.`;
    throw new BirdboneError('unsupported', message, { file: gguf.path, tensor: stored });
  }
  return names;
}

async function readConfig(gguf: Checkpoint, reader: MetadataReader, architecture: GgufArchitecture): Promise<Config> {
  const embedding = gguf.tensors.get('token_embd.weight');
  if (embedding?.shape.length !== 2)
    throw unusableTensor(gguf.path, 'token_embd.weight', 'it is no matrix in this file');
  const facts = {
    vocabulary: embedding.shape[0]!,
    hasHead: gguf.tensors.has('output.weight'),
    attentionBias: someBlockHas(gguf, 'attn_q.bias'),
    mlpBias: someBlockHas(gguf, 'ffn_gate.bias'),
    torchDtype: torchDtypeOf(gguf.tensors.values()),
  };
  const config = configFromGguf(reader, architecture, facts);
  if (!gguf.tensors.has(ROPE_FACTORS)) return config;
  const base = { theta: config.rope_theta, headDim: config.head_dim };
  const llama3 = await readRopeFactors(gguf, base);
  return llama3 === undefined ? config : configFromGguf(reader, architecture, { ...facts, llama3 });
}

/** Any block will do: a block may lack its attention or its FFN. */
function someBlockHas(gguf: Checkpoint, ending: string): boolean {
  return [...gguf.tensors.keys()].some((name) => name.startsWith('blk.') && name.endsWith(`.${ending}`));
}

async function readRopeFactors(
  gguf: Checkpoint,
  base: { readonly theta: number; readonly headDim: number },
): Promise<Llama3Scaling | undefined> {
  const { shape, dtype } = gguf.tensors.get(ROPE_FACTORS)!;
  if (elementsOf(shape) !== base.headDim / 2) {
    throw unusableTensor(
      gguf.path,
      ROPE_FACTORS,
      `its shape is [${shape}]; heads of ${base.headDim} have half as many pairs`,
    );
  }
  const factors = dtype === 'F32' ? await readFloats(gguf, ROPE_FACTORS) : new Float32Array(0);
  if (factors.length > 0 && factors.every((factor) => factor === 1)) return undefined;
  const scaling = recoverScaling(factors, base);
  if (scaling !== undefined) return scaling;
  const message = `${gguf.path} scales its rotary frequencies (${ROPE_FACTORS}) in a way that is not Llama 3's.`;
  throw new BirdboneError('unsupported', message, { file: gguf.path, tensor: ROPE_FACTORS });
}

/** For each name the stored tensor and, where rotary embedding turns its rows, the size of their heads. */
function withRowOrder(
  gguf: Checkpoint,
  names: ReadonlyMap<string, string>,
  { architecture, config }: { readonly architecture: GgufArchitecture; readonly config: Config },
): Map<string, ViewedTensor> {
  const sizes = architecture.perBlock ? blockSizes(readerOf(gguf), architecture) : undefined;
  const all = { heads: config.num_attention_heads, kvHeads: config.num_key_value_heads ?? 0 };
  const viewed = [...names].map(([name, stored]): [string, ViewedTensor] => {
    const found = findName(architecture, 'gguf', stored);
    const whose = found?.row.heads;
    if (whose === undefined || architecture.ropeOrder === 'halves') return [name, { stored }];
    const { heads, kvHeads } = sizes?.[found!.block!] ?? all;
    const own = whose === 'query' ? heads : kvHeads;
    const rows = gguf.tensors.get(stored)!.shape[0];
    const headRows = config.head_dim;
    if (rows !== own * headRows || headRows % 2 !== 0) {
      throw unusableTensor(gguf.path, stored, `it has ${rows ?? 'no'} rows; there are ${own} heads of ${headRows}`);
    }
    return [name, { stored, rows: { headRows, wanted: 'halves' } }];
  });
  return new Map(viewed);
}

function tryTokenizer(reader: MetadataReader, context: number) {
  try {
    const found = readTokenizer(reader, context);
    if (found === undefined) return { files: [], notices: ['The file has no tokenizer.'] };
    const files: [string, string][] = [
      ['tokenizer.json', found.definition],
      ['tokenizer_config.json', found.config],
    ];
    return { files, notices: found.notices };
  } catch (error) {
    // The weights can be looked at and changed without it; whoever needs it asks `tokenizerOf`, and is told.
    if (!(error instanceof BirdboneError)) throw error;
    return { files: [], notices: [`Its tokenizer cannot be used: ${error.message}`] };
  }
}

function readTokenizer(reader: MetadataReader, context: number): TokenizerFiles | undefined {
  const vocabulary = readVocabulary(reader);
  return vocabulary && tokenizerFromGguf(vocabulary, reader.file, context);
}
