import { type Checkpoint, type GgufMetadata, quoted } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { type FoundName, type GgufArchitecture, nameOf } from './architecture.js';
import { architectureOfModel } from './architectures.js';
import { changedByLlamaCpp, type DecoderNumbers, metadataOfDecoder } from './config-to-gguf.js';
import { joinedFromDealt } from './dealt-rows.js';
import type { Derivation } from './derived/derivation.js';
import { reordered } from './derived/reordered.js';
import { shifted } from './derived/shifted.js';
import { stacked } from './derived/stacked.js';
import { transposed } from './derived/transposed.js';
import { headOrder } from './rope-rows.js';
import { rotaryTensors } from './rotary-tensors.js';
import { derivedView, type ViewedTensor } from './view.js';

/** A Hugging Face model seen as a GGUF: tensors under ggml's names and in llama.cpp's row order. */
export interface GgufView extends Checkpoint {
  /** The tensors in the order of the model, which is the order in the file. */
  readonly order: readonly string[];
  /** What config.json decides. */
  readonly gguf: GgufMetadata;
  /** The name in the GGUF → the stored one, of experts the first's; the frequency factors are not stored. */
  readonly storedNames: ReadonlyMap<string, string>;
  /** Stored tensors that a GGUF has no use for: old exporters' buffers. */
  readonly leftOut: readonly string[];
  /** What llama.cpp would compute otherwise, one sentence each. */
  readonly changed: readonly string[];
}

/** The tensors of a described model that are in no block. */
export interface EndNames {
  readonly embedding: string;
  readonly positions?: string;
  readonly finalNorm: string;
  readonly finalNormBias?: string;
  readonly head: string;
}

type Described = DecoderNumbers & EndNames;

/**
 * A Hugging Face model (as `describeModel` describes it) seen as a GGUF: query and key rows in llama.cpp's order, a tied head
 * left out, Llama 3's frequency factors as a tensor, experts in one tensor each. Element types stay, but for gains that are stored as
 * w for 1 + w, which become F32. Closing it closes the source. Throws `unsupported` for a model that llama.cpp would not run as it
 * is, with what it takes for granted.
 */
export function asGguf(source: Checkpoint, decoder: Described, modelName: string): GgufView {
  const architecture = architectureOfModel(decoder.architecture);
  const gguf = metadataOfDecoder(decoder, modelName);
  const entries = new Map<string, ViewedTensor>();
  for (const found of namesInOrder(architecture, decoder.blocks.length)) {
    const stored = storedTensors(source, found, decoder, architecture);
    if (stored.length === 0) continue;
    const derivation = derivationOf(found, decoder, architecture);
    entries.set(nameOf(found, 'gguf'), { stored, ...(derivation && { derivation }) });
  }
  const used = new Set([...entries.values()].flatMap(({ stored }) => stored));
  refuseOthers(source, decoder, used);
  const extra = rotaryTensors(decoder);
  const view = withTensors(derivedView(source, entries), extra);
  return {
    ...view,
    order: [...extra.keys(), ...entries.keys()],
    gguf,
    storedNames: new Map([...entries].map(([name, { stored }]) => [name, stored[0]!])),
    leftOut: [...source.tensors.keys()].filter((tensor) => !used.has(tensor)),
    changed: changedByLlamaCpp(decoder),
  };
}

/** The embedding, the blocks one by one, the rest. */
function namesInOrder({ tensors }: GgufArchitecture, blocks: number): FoundName[] {
  const inBlock = tensors.filter(({ gguf }) => gguf.includes('{i}'));
  const [first, ...last] = tensors.filter(({ gguf }) => !gguf.includes('{i}'));
  const all = (rows: typeof tensors, block?: number) =>
    rows.flatMap((row) =>
      (row.noBias ? (['weight'] as const) : (['weight', 'bias'] as const)).map((ending) => ({ row, block, ending })),
    );
  const numbers = Array.from({ length: blocks }, (_, block) => block);
  return [...all([first!]), ...numbers.flatMap((block) => all(inBlock, block)), ...all(last)];
}

/** The stored tensors behind a name of the GGUF; none where the model has no such tensor. */
function storedTensors(
  source: Checkpoint,
  found: FoundName,
  decoder: Described,
  { optionalPrefix = '' }: GgufArchitecture,
): string[] {
  const { embedding, head, tied, blocks } = decoder;
  if (found.row.gguf === 'token_embd') return found.ending === 'weight' ? [embedding] : [];
  if (found.row.gguf === 'output') return tied || found.ending === 'bias' ? [] : [head];
  const stored = (name: string) => {
    const names = [name, name.startsWith(optionalPrefix) ? name.slice(optionalPrefix.length) : name];
    const known = names.find((candidate) => source.tensors.has(candidate) || source.aliases.has(candidate));
    return known === undefined ? [] : [source.aliases.get(known) ?? known];
  };
  if (found.row.form !== 'experts') return stored(nameOf(found, 'huggingFace'));
  const count = blocks[found.block!]!.experts?.count ?? 0;
  return Array.from({ length: count }, (_, expert) => nameOf(found, 'huggingFace', expert)).flatMap(stored);
}

function derivationOf(
  { row, ending }: FoundName,
  { headDim, heads }: DecoderNumbers,
  { ropeOrder }: GgufArchitecture,
): Derivation | undefined {
  if (row.heads !== undefined && ropeOrder === 'pairs') {
    return reordered(headOrder({ headRows: headDim, wanted: 'pairs' }));
  }
  if (row.form === 'dealt') return reordered(joinedFromDealt({ heads, headRows: headDim }));
  if (ending === 'bias') return undefined;
  switch (row.form) {
    case 'transposed':
      return transposed();
    case 'plus-one':
      return shifted(1);
    case 'experts':
      return stacked;
    default:
      return undefined;
  }
}

/** Throws for a tensor that the model computes with and llama.cpp has no place for: it would be left out in silence. */
function refuseOthers(source: Checkpoint, decoder: Described, used: ReadonlySet<string>): void {
  const { embedding, positions, finalNorm, finalNormBias, head, blocks } = decoder;
  const inBlocks = blocks.flatMap(({ linears, vectors }) => [
    ...linears.flatMap(({ weight, bias }) => [weight, bias]),
    ...vectors.map(({ tensor }) => tensor),
  ]);
  const other = [embedding, positions, finalNorm, finalNormBias, head, ...inBlocks].find(
    (name) => name !== undefined && !used.has(name),
  );
  if (other === undefined) return;
  throw new BirdboneError(
    'unsupported',
    `llama.cpp has no place for the tensor ${quoted(other)} in a ${decoder.architecture} model.`,
    { file: source.path, tensor: other },
  );
}

function withTensors(view: Checkpoint, extra: ReadonlyMap<string, Float32Array>): Checkpoint {
  if (extra.size === 0) return view;
  const infos = [...extra].map(([name, values]) => {
    return [name, { name, dtype: 'F32', shape: [values.length], byteLength: values.byteLength }] as const;
  });
  return {
    ...view,
    tensors: new Map([...view.tensors, ...infos]),
    read: async (name, range) => {
      const values = extra.get(name);
      if (values === undefined) return view.read(name, range);
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      return bytes.slice(range?.offset ?? 0, range === undefined ? undefined : range.offset + range.length);
    },
  };
}
