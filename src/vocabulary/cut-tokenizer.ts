import type { JsonObject } from '../checkpoint/index.js';

/** Files of older tokenizers, which would still have the whole vocabulary; they do not go with a cut one. */
export const STALE_FILES: readonly string[] = ['tokenizer.model', 'vocab.json', 'merges.txt', 'vocab.txt'];

/**
 * The tokenizer.json that has the tokens with a new id alone, under it: its vocabulary, the merges whose parts and result are there,
 * added tokens, and the ids that post-processor and padding name. Everything else is as it was. It must be one that
 * `vocabularyPlan` has read.
 */
export function cutTokenizer(tokenizer: JsonObject, newIds: Int32Array): JsonObject {
  const model = tokenizer['model'] as JsonObject & { vocab: Record<string, number>; merges: unknown[] };
  const stays = Object.entries(model.vocab).filter(([, id]) => newIds[id] !== -1);
  const vocab = Object.fromEntries(stays.map(([token, id]) => [token, newIds[id]!]));
  const tokens = new Set(stays.map(([token]) => token));
  const merges = model.merges.filter((merge) => {
    const [left, right] = (typeof merge === 'string' ? merge.split(' ') : merge) as [string, string];
    return tokens.has(left) && tokens.has(right) && tokens.has(left + right);
  });
  const added = (tokenizer['added_tokens'] ?? []) as (JsonObject & { id: number })[];
  return {
    ...tokenizer,
    added_tokens: added.map((token) => ({ ...token, id: newIds[token.id]! })),
    post_processor: renumbered(tokenizer['post_processor'], newIds),
    padding: renumberedPadding(tokenizer['padding'], newIds),
    model: { ...model, vocab, merges },
  };
}

/** The tokenizer_config.json with its table of added tokens under the new ids. */
export function cutTokenizerConfig(config: JsonObject, newIds: Int32Array): JsonObject {
  const table = config['added_tokens_decoder'];
  if (!isObject(table)) return config;
  const entries = Object.entries(table).flatMap(([id, token]) => {
    const renumberedId = newIds[Number(id)] ?? -1;
    return renumberedId === -1 ? [] : [[String(renumberedId), token] as const];
  });
  return { ...config, added_tokens_decoder: Object.fromEntries(entries) };
}

/** `TemplateProcessing` names ids per token, `BertProcessing` and its kin as pairs, and a `Sequence` holds others. */
function renumbered(processor: unknown, newIds: Int32Array): unknown {
  if (!isObject(processor)) return processor;
  const { type, processors, special_tokens: special, sep, cls } = processor;
  if (type === 'Sequence' && Array.isArray(processors)) {
    return { ...processor, processors: processors.map((inner) => renumbered(inner, newIds)) };
  }
  if (type === 'TemplateProcessing' && isObject(special)) {
    const entries = Object.entries(special).map(([name, token]) => {
      const ids = isObject(token) && Array.isArray(token['ids']) ? token['ids'] : [];
      return [name, isObject(token) ? { ...token, ids: ids.map((id) => newId(id, newIds)) } : token] as const;
    });
    return { ...processor, special_tokens: Object.fromEntries(entries) };
  }
  const pair = (value: unknown) => (Array.isArray(value) ? [value[0], newId(value[1], newIds)] : value);
  return { ...processor, ...(sep !== undefined && { sep: pair(sep) }), ...(cls !== undefined && { cls: pair(cls) }) };
}

function renumberedPadding(padding: unknown, newIds: Int32Array): unknown {
  if (!isObject(padding) || padding['pad_id'] === undefined) return padding;
  return { ...padding, pad_id: newId(padding['pad_id'], newIds) };
}

function newId(id: unknown, newIds: Int32Array): unknown {
  return typeof id === 'number' ? (newIds[id] ?? id) : id;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
