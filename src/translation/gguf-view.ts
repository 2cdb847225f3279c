import type { Checkpoint, GgufMetadata } from '../checkpoint/index.js';
import { type FoundName, type GgufArchitecture, nameOf } from './architecture.js';
import { architectureOfModel } from './architectures.js';
import { type DecoderNumbers, metadataOfDecoder } from './config-to-gguf.js';
import { ROPE_FACTORS } from './hugging-face.js';
import { ropeFactors } from './llama3-rope.js';
import { renamedView, type ViewedTensor } from './view.js';

/** A Hugging Face model seen as a GGUF: tensors under ggml's names and in llama.cpp's row order. */
export interface GgufView extends Checkpoint {
  /** The tensors in the order of the model, which is the order in the file. */
  readonly order: readonly string[];
  /** What config.json decides. */
  readonly gguf: GgufMetadata;
  /** The name in the GGUF → the stored one; the frequency factors are not stored. */
  readonly storedNames: ReadonlyMap<string, string>;
  /** Stored tensors that a GGUF has no use for: old exporters' buffers. */
  readonly leftOut: readonly string[];
}

/** Which tensors of a described model have two names, or one that differs from the usual. */
export interface TiedNames {
  readonly embedding: string;
  readonly head: string;
  readonly tied: boolean;
}

/**
 * A Hugging Face model (as `describeModel` describes it) seen as a GGUF: query and key rows in llama.cpp's order, a tied head
 * left out, Llama 3's frequency factors as a tensor. Element types stay. Closing it closes the source.
 */
export function asGguf(source: Checkpoint, decoder: DecoderNumbers & TiedNames, modelName: string): GgufView {
  const architecture = architectureOfModel(decoder.architecture);
  const entries = new Map<string, ViewedTensor>();
  for (const found of namesInOrder(architecture, decoder.blocks.length)) {
    const stored = storedTensor(source, nameOf(found, 'huggingFace'), decoder);
    if (stored === undefined) continue;
    const turned = found.row.heads !== undefined && architecture.ropeOrder === 'pairs';
    const rows = { headRows: decoder.headDim, wanted: 'pairs' } as const;
    entries.set(nameOf(found, 'gguf'), turned ? { stored, rows } : { stored });
  }
  const used = new Set([...entries.values()].map(({ stored }) => stored));
  const view = withRopeFactors(renamedView(source, entries), decoder);
  return {
    ...view,
    order: [...(view.tensors.has(ROPE_FACTORS) ? [ROPE_FACTORS] : []), ...entries.keys()],
    gguf: metadataOfDecoder(decoder, modelName),
    storedNames: new Map([...entries].map(([name, { stored }]) => [name, stored])),
    leftOut: [...source.tensors.keys()].filter((tensor) => !used.has(tensor)),
  };
}

/** The embedding, the blocks one by one, the rest. */
function namesInOrder({ tensors }: GgufArchitecture, blocks: number): FoundName[] {
  const inBlock = tensors.filter(({ gguf }) => gguf.includes('{i}'));
  const [first, ...last] = tensors.filter(({ gguf }) => !gguf.includes('{i}'));
  const endings = ['weight', 'bias'] as const;
  const all = (rows: typeof tensors, block?: number) =>
    rows.flatMap((row) => endings.map((ending) => ({ row, block, ending })));
  const numbers = Array.from({ length: blocks }, (_, block) => block);
  return [...all([first!]), ...numbers.flatMap((block) => all(inBlock, block)), ...all(last)];
}

function storedTensor(source: Checkpoint, name: string, { embedding, head, tied }: TiedNames): string | undefined {
  if (name === 'model.embed_tokens.weight') return embedding;
  if (name === 'lm_head.weight') return tied ? undefined : head;
  return source.tensors.has(name) ? name : source.aliases.get(name);
}

function withRopeFactors(view: Checkpoint, decoder: DecoderNumbers): Checkpoint {
  const { ropeScaling, ropeTheta: theta, headDim } = decoder;
  if (ropeScaling.kind !== 'llama3') return view;
  const bytes = new Uint8Array(ropeFactors(ropeScaling, { theta, headDim }).buffer);
  const info = { name: ROPE_FACTORS, dtype: 'F32', shape: [headDim / 2], byteLength: bytes.length } as const;
  return {
    ...view,
    tensors: new Map([...view.tensors, [ROPE_FACTORS, info]]),
    read: async (name, range) => {
      if (name !== ROPE_FACTORS) return view.read(name, range);
      return bytes.slice(range?.offset ?? 0, range === undefined ? undefined : range.offset + range.length);
    },
  };
}
