import { z } from 'zod';
import { escaped, type JsonObject } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { Architecture } from './architecture.js';
import { refuseUnsupportedKeys, unsupportedValue } from './config-keys.js';
import type { Decoder } from './decoder.js';
import { readRope, ropeObject } from './rope-config.js';

/**
 * An integer from 1 to `max`: the limits are far above any model that exists, so that nothing is sized by a hostile
 * number.
 */
const count = (max: number) => z.int().min(1).max(max);
const tokenId = z
  .int()
  .min(0)
  .max(2 ** 31 - 1);

const schema = z.looseObject({
  model_type: z.string(),
  architectures: z.array(z.string()).nullish(),
  vocab_size: count(2 ** 24),
  hidden_size: count(2 ** 20),
  intermediate_size: count(2 ** 22),
  num_hidden_layers: count(4096),
  num_attention_heads: count(2 ** 14),
  num_key_value_heads: count(2 ** 14).nullish(),
  head_dim: count(2 ** 14).nullish(),
  max_position_embeddings: count(2 ** 31 - 1).nullish(),
  rms_norm_eps: z.number().positive().max(1).nullish(),
  rope_theta: z.number().positive().max(1e12).nullish(),
  rope_scaling: ropeObject.nullish(),
  rope_parameters: ropeObject.nullish(),
  sliding_window: count(2 ** 31 - 1).nullish(),
  layer_types: z.array(z.string()).max(4096).nullish(),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  bos_token_id: tokenId.nullish(),
  eos_token_id: z.union([tokenId, z.array(tokenId).max(1024)]).nullish(),
});
type Config = z.infer<typeof schema>;
const READ: ReadonlySet<string> = new Set(Object.keys(schema.shape));

/** What config.json says of a decoder; what is left of `Decoder` are the names of its tensors. */
export interface DecoderConfig
  extends Omit<Decoder, 'architecture' | 'blocks' | 'embedding' | 'finalNorm' | 'head' | 'tied'> {
  readonly layers: number;
  readonly attentionBias: boolean;
  readonly mlpBias: boolean;
  /** `tie_word_embeddings`. */
  readonly tieHead: boolean;
}

/**
 * Returns the checked numbers of a config.json. Throws `unreadable` for wrong types, sizes out of bounds and
 * contradictions, `unsupported` for anything that would have to be run differently from how the forward pass runs it.
 */
export function readConfig(config: JsonObject, architecture: Architecture, file: string): DecoderConfig {
  refuseUnsupportedKeys(config, READ, architecture, file);
  const parsed = schema.safeParse(config);
  if (!parsed.success) throw malformed(file, parsed.error);
  const values = parsed.data;
  const classes = values.architectures ?? [];
  if (classes.length > 0 && !classes.includes(architecture.className)) {
    throw unsupportedValue(file, 'architectures', classes, [[architecture.className]]);
  }
  const rope = readRope(values, architecture.defaults.rope_theta, file);
  return {
    ...readShape(values, architecture, file),
    normEpsilon: values.rms_norm_eps ?? architecture.defaults.rms_norm_eps,
    maxContext: values.max_position_embeddings ?? architecture.defaults.max_position_embeddings,
    ropeTheta: rope.theta,
    ropeScaling: rope.scaling,
    ...readWindow(values, architecture, file),
    attentionBias: values.attention_bias ?? false,
    mlpBias: values.mlp_bias ?? false,
    tieHead: values.tie_word_embeddings ?? false,
    ...(values.bos_token_id == null ? {} : { bosTokenId: values.bos_token_id }),
    eosTokenIds: [values.eos_token_id ?? []].flat(),
  };
}

function readShape(values: Config, { defaults }: Architecture, file: string) {
  const heads = values.num_attention_heads;
  // An explicit null means "as many as query heads"; a missing key means the class's default.
  const absentKvHeads = values.num_key_value_heads === undefined ? defaults.num_key_value_heads : null;
  const kvHeads = values.num_key_value_heads ?? absentKvHeads ?? heads;
  if (heads % kvHeads !== 0) {
    throw disagreement(file, `num_attention_heads (${heads}) must be a multiple of num_key_value_heads (${kvHeads})`);
  }
  if (values.head_dim == null && values.hidden_size % heads !== 0) {
    throw disagreement(
      file,
      `without head_dim, hidden_size (${values.hidden_size}) must be a multiple of num_attention_heads (${heads})`,
    );
  }
  const headDim = values.head_dim ?? values.hidden_size / heads;
  if (headDim % 2 !== 0) throw disagreement(file, `rotary embedding needs an even head_dim, not ${headDim}`);
  return {
    hidden: values.hidden_size,
    heads,
    kvHeads,
    headDim,
    ffn: values.intermediate_size,
    vocabulary: values.vocab_size,
    layers: values.num_hidden_layers,
  };
}

/** The window, and that `layer_types` (where given) says the same of every layer. */
function readWindow(values: Config, { options, defaults }: Architecture, file: string): { slidingWindow?: number } {
  const absent = values.sliding_window === undefined ? defaults.sliding_window : null;
  const window = options.slidingWindow ? (values.sliding_window ?? absent) : null;
  const only = window === null ? 'full_attention' : 'sliding_attention';
  if (values.layer_types?.some((type) => type !== only)) {
    throw unsupportedValue(file, 'layer_types', values.layer_types, [[`${only} for every layer`]]);
  }
  return window === null ? {} : { slidingWindow: window };
}

function malformed(file: string, error: z.ZodError): BirdboneError {
  const issues = error.issues.slice(0, 5).map((issue) => escaped(`${issue.path.join('.')}: ${issue.message}`));
  return new BirdboneError('unreadable', `${file} is not a valid config: ${issues.join('; ')}.`, {
    file,
    cause: error,
  });
}

function disagreement(file: string, what: string): BirdboneError {
  return new BirdboneError('unreadable', `${file} is not a valid config: ${what}.`, { file });
}
