import type { JsonObject } from '../../checkpoint/index.js';
import { BirdboneError } from '../../errors.js';
import type { Architecture, Decoder } from '../../model/index.js';
import { normCorrection } from './scaled-gains.js';
import type { ModelWidths } from './widths.js';

/** A model before and after the cut, and what its config.json says before. */
export interface Cut {
  readonly config: JsonObject;
  readonly architecture: Architecture;
  readonly decoder: Decoder;
  readonly widths: ModelWidths;
}

/** Keys that every architecture reads, under whatever spelling. */
const ALWAYS_READ = new Set(['num_hidden_layers', 'hidden_size', 'vocab_size', 'intermediate_size', 'rms_norm_eps']);
type Key = Architecture['keys'][number] | 'num_hidden_layers' | 'hidden_size' | 'vocab_size' | 'intermediate_size';

/**
 * The config.json of a model whose blocks are equally wide, in its own architecture. Only what the cut changes is another value;
 * keys that were implied and no longer follow (the size of a head) are added at the end.
 *
 * Throws `unsupported`, with the key at fault, for a width that this architecture's config cannot say.
 */
export function ownConfig(cut: Cut): JsonObject {
  const { decoder, widths } = cut;
  const [first] = widths.blocks;
  const { heads, kvHeads, ffn, experts } = first!;
  const changes: [Key, unknown, unknown][] = [
    ['intermediate_size', ffn, decoder.ffn],
    ['num_attention_heads', heads, decoder.heads],
    // Where there are as many as query heads, a config may leave them out.
    ['num_key_value_heads', kvHeads, cut.config[spelled('num_key_value_heads', cut)] ?? decoder.kvHeads],
    ...(experts === undefined ? [] : [expertChange(cut, experts.length)]),
  ];
  return withChanges(cut, changes);
}

/** What the cut changes whatever the blocks are: their number, the residual stream, the vocabulary. */
export function withChanges(cut: Cut, changes: readonly (readonly [Key, unknown, unknown])[]): JsonObject {
  const { decoder, widths } = cut;
  const { hidden, vocabulary, blocks, headDim } = widths;
  const { epsilon } = normCorrection(decoder.hidden, hidden);
  const all: (readonly [Key, unknown, unknown])[] = [
    ...changes,
    ['num_hidden_layers', blocks.length, decoder.blocks.length],
    ['hidden_size', hidden, decoder.hidden],
    ['vocab_size', vocabulary, decoder.vocabulary],
    ['rms_norm_eps', decoder.normEpsilon * epsilon, decoder.normEpsilon],
  ];
  const config: Record<string, unknown> = { ...cut.config };
  for (const [key, after, before] of all) if (after !== before) setKey(config, key, after, cut);
  const isImplied = cut.config[spelled('head_dim', cut)] == null;
  if (isImplied && hidden / blocks.find(({ heads }) => heads > 0)!.heads !== headDim) {
    setKey(config, 'head_dim', headDim, cut);
  }
  return { ...config, ...layerKeys(cut) };
}

/** Keys that say something of every layer, for those that stay. */
function layerKeys({ config, architecture, decoder, widths }: Cut): JsonObject {
  const left = widths.blocks.map(({ block }) => block);
  if (left.length === decoder.blocks.length) return {};
  const types = config['layer_types'];
  const windows = config['max_window_layers'];
  const typed = left.map((block) => {
    return decoder.blocks[block]!.slidingWindow === undefined ? 'full_attention' : 'sliding_attention';
  });
  return {
    ...((Array.isArray(types) || architecture.readsLayerTypes) && { layer_types: typed }),
    ...(typeof windows === 'number' && { max_window_layers: left.filter((block) => block < windows).length }),
  };
}

function expertChange({ decoder }: Cut, count: number): [Key, unknown, unknown] {
  const before = decoder.blocks.find(({ experts }) => experts !== undefined)!.experts!;
  if (count < before.perToken) {
    throw new BirdboneError(
      'unsupported',
      `Each token goes through ${before.perToken} experts; ${count} left are too few.`,
      { suggestions: [`Keep at least ${before.perToken} experts of each block.`] },
    );
  }
  return ['num_local_experts', count, before.count];
}

function setKey(config: Record<string, unknown>, key: Key, value: unknown, cut: Cut): void {
  const { architecture } = cut;
  const name = spelled(key, cut);
  const isRead = ALWAYS_READ.has(key) || key === 'num_attention_heads' || architecture.keys.includes(key as never);
  if (isRead) config[name] = value;
  else throw cannotSay(architecture, name, value);
}

function spelled(key: Key, { architecture }: Pick<Cut, 'architecture'>): string {
  return architecture.spellings?.[key as never] ?? key;
}

function cannotSay({ modelType }: Architecture, key: string, value: unknown): BirdboneError {
  return new BirdboneError(
    'unsupported',
    `The config.json of a ${modelType} model has no ${key}, which would have to be ${String(value)} after the cut.`,
    {
      suggestions: [
        'Shed channels of its feed-forward networks instead: --plates ffn',
        'Shed whole blocks: --plates blocks',
      ],
    },
  );
}
