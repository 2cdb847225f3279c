import { type Checkpoint, type GgufMetadata, ggufMetadata, quoted } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { FoundName, GgufArchitecture } from './architecture.js';
import { findName } from './architecture.js';
import { architectureOfGguf } from './architectures.js';
import { configFromGguf, type ReadModel, unusableTensor } from './config-from-gguf.js';
import { dequantized } from './dequantized.js';
import type { TensorFacts } from './gguf-numbers.js';
import { huggingFaceTensors } from './hugging-face-tensors.js';
import { MetadataReader } from './metadata-reader.js';
import { cardOfGguf } from './model-card.js';
import { isRotaryTensor, rotaryFacts } from './rotary-tensors.js';
import { type TokenizerFiles, tokenizerFromGguf } from './tokenizer/from-gguf.js';
import { readVocabulary } from './tokenizer/vocabulary.js';
import { torchDtypeOf } from './torch-dtype.js';
import { derivedView } from './view.js';

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
  const found = findNames(gguf, architecture);
  const { config, numbers } = await readConfig(gguf, reader, architecture);
  const tensors = huggingFaceTensors(gguf, found, { architecture, numbers });
  const tokenizer = tryTokenizer(reader, numbers.context);
  const card = cardOfGguf(reader);
  return {
    ...derivedView(dequantized(gguf), tensors),
    // transformers loads no safetensors file that does not say so.
    metadata: { format: 'pt' },
    notices: [...(gguf.notices ?? []), ...tokenizer.notices],
    companions: new Map([
      ['config.json', `${JSON.stringify(config, undefined, 2)}\n`],
      ...tokenizer.files,
      ...(card === undefined ? [] : [['README.md', card] as const]),
    ]),
    storedNames: new Map([...tensors].map(([tensor, { stored }]) => [tensor, stored[0]!])),
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

/** The tensors of the file by their names there, but for those that config.json speaks for. */
function findNames(gguf: Checkpoint, architecture: GgufArchitecture): Map<string, FoundName> {
  const names = new Map<string, FoundName>();
  for (const stored of gguf.tensors.keys()) {
    if (isRotaryTensor(stored, architecture)) continue;
    const found = findName(architecture, stored);
    if (found === undefined) {
      const message = `${gguf.path} has a tensor ${quoted(stored)}, which no ${architecture.name} model of Hugging Face's has.`;
      throw new BirdboneError('unsupported', message, { file: gguf.path, tensor: stored });
    }
    names.set(stored, found);
  }
  return names;
}

async function readConfig(
  gguf: Checkpoint,
  reader: MetadataReader,
  architecture: GgufArchitecture,
): Promise<ReadModel> {
  const embedding = gguf.tensors.get('token_embd.weight');
  if (embedding?.shape.length !== 2)
    throw unusableTensor(gguf.path, 'token_embd.weight', 'it is no matrix in this file');
  const facts: TensorFacts = {
    vocabulary: embedding.shape[0]!,
    hasHead: gguf.tensors.has('output.weight'),
    attentionBias: someBlockHas(gguf, ['attn_q.bias', 'attn_output.bias']),
    mlpBias: someBlockHas(gguf, ['ffn_gate.bias', 'ffn_down.bias']),
    torchDtype: torchDtypeOf(gguf.tensors.values()),
  };
  if (![...gguf.tensors.keys()].some((name) => isRotaryTensor(name, architecture))) {
    return configFromGguf(reader, architecture, facts);
  }
  // How many factors there must be follows from numbers that need no factors.
  const { theta, headDim, rotated } = configFromGguf(reader, architecture, facts).numbers;
  const rotary = await rotaryFacts(gguf, architecture, { theta, headDim, rotated });
  return configFromGguf(reader, architecture, { ...facts, ...rotary });
}

/** Any block will do: a block may lack its attention or its FFN. */
function someBlockHas(gguf: Checkpoint, endings: readonly string[]): boolean {
  return [...gguf.tensors.keys()].some(
    (name) => name.startsWith('blk.') && endings.some((ending) => name.endsWith(`.${ending}`)),
  );
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
